"""`llmproxy serve` as a process of its own: started, heard, signalled, ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_ROOT = Path(__file__).parents[2]
_LISTENS = re.compile(r"llmproxy listens on ([^\s,;]+)[^;]*(?:; admin on (\S+))?")
#: Runs llmproxy the way systemd runs a service: the socket at number 3, the process named in LISTEN_PID.
_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "llmproxy", *sys.argv[2:]])
"""


class GatewayProcess:
    """A gateway: `with GatewayProcess("-c", file) as gateway`; its URLs are those it announces itself.

    What it writes is kept in `lines`, standard output and standard error together. `inherited` is a listening
    socket's file descriptor, handed over as systemd does it. `program` is an installed `llmproxy` to run
    instead of this tree.
    """

    def __init__(
        self,
        *arguments: str | Path,
        environ: Mapping[str, str] | None = None,
        inherited: int | None = None,
        program: Path | None = None,
        patience: float = 20.0,
    ) -> None:
        self._command = [*_program(program, inherited), "serve", *map(str, arguments)]
        self._environ = {**clean_environ(), **(environ or {})}
        if program is not None:
            del self._environ["PYTHONPATH"]
        self._pass = () if inherited is None else (inherited,)
        self._patience = patience
        self._announced = threading.Event()
        self._changed = threading.Condition()
        self.lines: list[str] = []
        self.url = self.admin_url = ""
        self.process: subprocess.Popen[str]

    def start(self) -> Self:
        """Start it without waiting for anything."""
        self.process = subprocess.Popen(
            self._command,
            env=self._environ,
            pass_fds=self._pass,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __enter__(self) -> Self:
        self.start()
        if not self._announced.wait(self._patience) or not self.url:
            self._end()
            raise AssertionError("the gateway did not start:\n" + self.text)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor if there are several workers."""
        return self.process.pid

    @property
    def text(self) -> str:
        """All it has written so far."""
        return "\n".join(self.lines)

    def workers(self) -> list[int]:
        """Return the processes of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    async def exited(self, within: float = 20.0) -> int:
        """Wait for its end, and return its exit code."""
        code = await asyncio.to_thread(self.process.wait, within)
        await asyncio.to_thread(self._reader.join, 5.0)
        return code

    async def said(self, word: str, times: int = 1, within: float = 20.0) -> None:
        """Wait until `word` stands in that many of its lines."""
        await asyncio.to_thread(self._hear, word, times, within)

    def count(self, word: str) -> int:
        """Count the lines in which `word` stands."""
        return sum(word in line for line in tuple(self.lines))

    def _hear(self, word: str, times: int, within: float) -> None:
        with self._changed:
            heard = self._changed.wait_for(lambda: self.count(word) >= times, within)
        assert heard, f"not heard {times} times: {word!r}\n{self.text}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                if found := _LISTENS.search(line):
                    self.url, self.admin_url = found[1], found[2] or ""
                    self._announced.set()
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        self._announced.set()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.terminate()  # asked twice: it leaves at once, and takes its workers along
                try:
                    self.process.wait(5.0)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        self._reader.join(5.0)


def _program(program: Path | None, inherited: int | None) -> Sequence[str]:
    if program is not None:
        return [str(program)]
    if inherited is None:
        return [sys.executable, "-m", "llmproxy"]
    return [sys.executable, "-c", _ACTIVATED, str(inherited)]


def clean_environ() -> dict[str, str]:
    """Return the environment without providers' keys and proxies, which would change what is served."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith(("_API_KEY", "_PROXY")) and not name.startswith(("LISTEN_", "LLMPROXY"))
    }
    return {**kept, "PYTHONPATH": os.pathsep.join([str(_ROOT / "proxy"), str(_ROOT / "plugins")])}
