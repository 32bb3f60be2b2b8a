"""What the benchmarks share: the gateway of bench.yaml before an upstream, and figures of a process."""

from __future__ import annotations

import resource
import ssl
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
import trustme
from tests.integration.process import GatewayProcess

KEY = "bench-key-0123456789"
_EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "bench.yaml"


class Certificates:
    """A certificate for 127.0.0.1, made for this run, and the authority that vouches for it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        self.chain = folder / "chain.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self.chain))

    def serving(self) -> ssl.SSLContext:
        """Return what a server needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain)
        return context


class BenchGateway:
    """The gateway as bench.yaml describes it: access, metrics and usage on, log at warning."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        *,
        listen: str = "127.0.0.1:0",
        ca: Path | None = None,
        workers: int = 1,
    ) -> None:
        text = _EXAMPLE.read_text()
        if ca is not None:
            text = text.replace("dialect: openai", f"dialect: openai\n    tls: {{ca: {ca}}}")
        file = folder / "bench.yaml"
        file.write_text(text)
        self.process = GatewayProcess(
            *("-c", file, "--workers", str(workers)),
            environ={"BENCH_LISTEN": listen, "BENCH_UPSTREAM": upstream, "BENCH_KEY": KEY},
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.process.url.rpartition(":")[2])

    def memory(self) -> int:
        """Return the resident bytes of the process, and of its workers if it has any."""
        return sum(map(resident, [self.process.pid, *self.process.workers()]))


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def chat(judge: str = "", *, stream: bool = True) -> bytes:
    """Write a chat request that directs the judge, the only one of its connection."""
    body = orjson.dumps(
        {"model": "judge", "stream": stream, "messages": [{"role": "user", "content": "How are you?"}]}
    )
    return post("/v1/chat/completions", body, f"x-judge: {judge}" if judge else "x-none: 1")


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """Write a request with the bench key; `length` may promise more than `body` holds."""
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", "Connection: close"]
    lines += [f"Authorization: Bearer {KEY}", *headers]
    lines += [f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else 0.0


def allow_many_files() -> None:
    """Raise this process's limit of open files, and that of the processes it starts, as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def say(**figures: object) -> None:
    """Print figures as one JSON line."""
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
    sys.stdout.flush()
