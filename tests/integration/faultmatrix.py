"""The fault matrix: each fault x unary or streamed x what follows x dialect x translated or not, in a real gateway.

    python -m tests.integration.faultmatrix [--dialect chat]

prints what the caller got, how many attempts were made, how long it took, what the access log says, and whether that is
what is documented. Exits 1 if anything is not.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import orjson

from llmproxy.testing import RawClient, wire

from .faultdialects import CHAT, DIALECTS, FINE, HALF, Dialect
from .faultserver import ERRORS, FaultyProvider
from .process import GatewayProcess

#: Faults of the network before the provider, each with an upstream of its own.
NETWORK = ("connect refused", "DNS failure", "TLS failure")
FAULTS = (
    *NETWORK,
    "reset before headers",
    "stall before headers",
    *ERRORS,
    "error first",
    "malformed SSE",
    "truncated JSON",
    "wrong Content-Length",
    "gzip bomb",
    "reset mid-stream",
    "stall mid-stream",
)
POLICIES = ("none", "retry", "fallback")

#: What a caller is told where nobody answers.
STATUS = {
    "stall before headers": 504,
    "400": 400,
    "429": 429,
    "429 retry-after": 429,
    "500": 500,
    "stall mid-stream": 504,
}
#: Once one of these has begun as a stream, it cannot be made another: the caller is told inside it, where the stream
#: can still be read.
BEGUN = {
    "reset mid-stream": "half",
    "stall mid-stream": "half",
    "wrong Content-Length": "cut",
}


_LINE = "{:20} {:6} {:8} {:17} {:>6} {:>5} {:>5} {:>5}  {}"


class Cell(NamedTuple):
    """One case of the matrix."""

    fault: str
    streamed: bool
    policy: str
    dialect: Dialect
    translated: bool
    number: int

    @property
    def model(self) -> str:
        """The model's name, which tells the provider what to do."""
        return f"{self.fault.replace(' ', '_')}.{self.policy}.{self.number}"

    @property
    def path(self) -> str:
        """Where the caller asks."""
        return f"/{self.policy}/{'chat' if self.translated else self.dialect.name}"


class Seen(NamedTuple):
    """What became of a case: `ended` tells whether the reply came to its proper end, `row` is the access log's, `told`
    what the caller was told of the attempts."""

    status: int
    body: bytes
    ended: bool
    attempts: int
    seconds: float
    row: dict[str, Any]
    told: str


class Expected(NamedTuple):
    """What is documented: the status, what the body is (`fine`, `error`, `half` and an error, `cut`), the attempts."""

    status: int
    body: str
    attempts: int


def cells(dialects: Iterable[Dialect] = DIALECTS) -> Iterator[Cell]:
    """Return all cases; in chat's own dialect nothing is translated."""
    numbers = itertools.count(1)
    for dialect, fault, streamed, policy in itertools.product(dialects, FAULTS, (False, True), POLICIES):
        for translated in (False,) if dialect is CHAT else (False, True):
            if not _exists(fault, streamed):
                continue
            yield Cell(fault, streamed, policy, dialect, translated, next(numbers))


def _exists(fault: str, streamed: bool) -> bool:
    return (
        streamed if fault in ("error first", "malformed SSE") else not streamed or fault != "truncated JSON"
    )


def expected(cell: Cell) -> Expected:
    """Return what the documentation says of a case."""
    if cell.fault == "400":
        return Expected(400, "error", 1)  # no other place would understand it better
    if cell.streamed and cell.fault in BEGUN:
        return Expected(200, BEGUN[cell.fault], 1)
    if cell.fault in NETWORK and cell.policy == "retry":
        # What does not come about by itself is not tried again: names and certificates.
        return Expected(502, "error", 1 if cell.fault == "TLS failure" else 2)
    if cell.policy != "none":
        return Expected(200, "fine", 2)
    spoken = CHAT if cell.translated else cell.dialect
    return Expected(
        spoken.error_status if cell.fault == "error first" else STATUS.get(cell.fault, 502), "error", 1
    )


def config(provider: int, mute: int, closed: int) -> dict[str, Any]:
    """Return the gateway's configuration: a route for each policy and dialect of the provider."""
    upstreams: dict[str, Any] = {}
    routes: list[dict[str, Any]] = []
    pools: dict[str, Any] = {}
    times = {"connect": "1s", "headers": "400ms", "first_token": "800ms", "idle": "400ms", "total": "10s"}
    for dialect in DIALECTS:
        base: dict[str, Any] = {
            "dialect": dialect.upstream,
            "timeouts": times,
            "proxy": None,
            "api_key": "${env:KEY}",
        }
        if dialect.name == "responses":
            base["quirks"] = {"responses": True}
        urls = {
            "scripted": f"http://127.0.0.1:{provider}{dialect.base}",
            "connect_refused": f"http://127.0.0.1:{closed}{dialect.base}",
            "DNS_failure": f"http://nowhere.invalid{dialect.base}",
            "TLS_failure": f"https://127.0.0.1:{mute}{dialect.base}",
        }
        for name, url in urls.items():
            upstreams[f"{name}-{dialect.name}"] = {**base, "base_url": url}
        upstreams[f"good-{dialect.name}"] = {**base, "base_url": urls["scripted"]}
        for policy in POLICIES:
            models: dict[str, Any] = {}
            for name in urls:
                bad = {"upstream": f"{name}-{dialect.name}", "name": name}
                places = [bad, {"upstream": f"good-{dialect.name}"}] if policy == "fallback" else [bad]
                pools[f"{policy}-{name}-{dialect.name}"] = places
                models["*" if name == "scripted" else f"{name}.*"] = {
                    "pool": f"{policy}-{name}-{dialect.name}"
                }
            how = (
                {"retries": 1, "max_wait": "1500ms"}
                if policy == "retry"
                else {"retries": 0, "max_wait": "0s"}
            )
            routes.append(
                {
                    "name": f"{policy}-{dialect.name}",
                    "match": {"path": f"/{policy}/{dialect.name}/*"},
                    "models": models,
                    "attempts": 1 if policy == "none" else 2,
                    "plugins": [{"balance": how}],
                }
            )
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN_TOKEN}"},
        "plugins": {
            "accesslog": {},
            # A matrix of nothing but failures: no place is to be left alone, and no storm stopped.
            "balance": {"health": None, "retry_budget": {"least": 1000}},
        },
        "pipeline": ["accesslog"],
        "upstreams": upstreams,
        "pools": pools,
        "routes": routes,
    }


async def ask(url: str, cell: Cell) -> tuple[int, bytes, bool, float, str]:
    """Ask as the cell's caller does; return status, body, whether it ended well, seconds, the attempts' header."""
    path, body = cell.dialect.ask(cell.model, cell.streamed)
    sent = orjson.dumps(body)
    head = f"POST {cell.path}{path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    head += f"x-llmproxy-explain: attempts\r\nx-request-id: cell-{cell.number}\r\nContent-Length: {len(sent)}\r\n\r\n"
    began = time.monotonic()
    async with RawClient(url, timeout=15) as client:
        await client.send(head.encode() + sent)
        got = await _reply(client)
        return *got[:3], time.monotonic() - began, got[3]


async def _reply(client: RawClient) -> tuple[int, bytes, bool, str]:
    head = await client.read_until(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    told = wire.parse_head(head).get("x-llmproxy-attempts") or ""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body, whole = b"", False
        try:
            while True:
                size = int((await client.read_until(b"\r\n")).split(b";")[0], 16)
                if size == 0:
                    whole = True
                    break
                body += (await client.read_exactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        return status, body, whole, told
    length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
    try:
        return status, await client.read_exactly(length), True, told
    except (asyncio.IncompleteReadError, ConnectionError) as cut:
        return status, getattr(cut, "partial", b""), False, told


def judge(cell: Cell, seen: Seen) -> str:
    """Return what is not as documented, "" if all is."""
    want = expected(cell)
    if seen.status != want.status:
        return f"status {seen.status}, not {want.status}"
    if seen.attempts != want.attempts:
        return f"{seen.attempts} attempts, not {want.attempts}"
    if seen.row.get("status") != seen.status or not seen.told:
        return f"the access log says {seen.row}, the caller was told {seen.told!r}"
    return "" if _bodies(cell, seen)[want.body] else f"its body is not {want.body}"


def _bodies(cell: Cell, seen: Seen) -> dict[str, bool]:
    """Return which of the documented kinds a body is."""
    fine, half, ended = FINE.encode() in seen.body, HALF.encode() in seen.body, seen.ended
    return {
        "fine": fine and ended,
        "error": ended and not fine and not half and _is_error(cell, seen),
        "half": not fine and not ended and (b"error" in seen.body or b":exception-type" in seen.body),
        "cut": not ended,
    }


def _is_error(cell: Cell, seen: Seen) -> bool:
    try:
        told = orjson.loads(seen.body)
    except orjson.JSONDecodeError:
        return False
    lone = {"converse": "message", "ollama": "error", "cohere": "message"}.get(cell.dialect.name)
    if lone is not None:
        beside = {"code", "id"} if cell.dialect.name == "cohere" else set()
        return isinstance(told.get(lone), str) and told.keys() - beside == {lone}
    error = told.get("error")
    if not isinstance(error, dict) or not error.get("message"):
        return False
    if cell.dialect.name == "messages":
        return told.get("type") == "error" and isinstance(error.get("type"), str)
    if cell.dialect.name == "gemini":
        return bool(error.get("code") == seen.status and isinstance(error.get("status"), str))
    return "type" in error and "code" in error


async def run(chosen: Iterable[Cell], folder: Path) -> list[tuple[Cell, Seen]]:
    """Run cases at once, some at a time, in one gateway."""
    async with FaultyProvider() as provider:
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            closed = probe.getsockname()[1]
        secrets = {"KEY": "sk-upstream-0123456789", "ADMIN_TOKEN": "admin-token-0123456789"}
        file = folder / "matrix.json"
        file.write_bytes(orjson.dumps(config(provider.port, provider.mute_port, closed)))
        with GatewayProcess("-c", file, environ=secrets) as gateway:
            room = asyncio.Semaphore(24)

            async def one(cell: Cell) -> tuple[Cell, tuple[int, bytes, bool, float, str]]:
                async with room:
                    return cell, await ask(gateway.url, cell)

            got = await asyncio.gather(*(one(cell) for cell in chosen))
            gateway.signal(signal.SIGTERM)
            await gateway.exited()
            rows = _rows(gateway.lines)
        return [(cell, _seen(answer, rows.get(cell.number, {}))) for cell, answer in got]


def _rows(lines: Iterable[str]) -> dict[int, dict[str, Any]]:
    told = [orjson.loads(line) for line in lines if line.startswith("{") and '"cell-' in line]
    return {int(row["id"].removeprefix("cell-")): row for row in told if "result" in row}


def _seen(answer: tuple[int, bytes, bool, float, str], row: dict[str, Any]) -> Seen:
    status, body, ended, seconds, told = answer
    return Seen(status, body, ended, len(row.get("attempts", ())), seconds, row, told)


def table(found: list[tuple[Cell, Seen]]) -> Iterator[str]:
    """Return the lines of the table, and the count of what was not expected."""
    yield _LINE.format(
        "fault", "how", "policy", "caller", "status", "ended", "tries", "s", "access log; attempts; verdict"
    )
    wrong: Counter[str] = Counter()
    for cell, seen in found:
        verdict = judge(cell, seen)
        wrong["unexpected" if verdict else "as documented"] += 1
        caller = f"{cell.dialect.name}{' to chat' if cell.translated else ''}"
        row = f"{seen.row.get('status')} {seen.row.get('result')} {seen.row.get('error') or '-'}; {seen.told}"
        how, ended = "stream" if cell.streamed else "unary", "yes" if seen.ended else "cut"
        seconds = f"{seen.seconds:.2f}"
        told = f"{row}  <-- {verdict}" if verdict else row
        yield _LINE.format(
            cell.fault, how, cell.policy, caller, seen.status, ended, seen.attempts, seconds, told
        )
    yield f"{len(found)} cases, {wrong['unexpected']} unexpected"


def main() -> int:
    """Print the matrix."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dialect", choices=[each.name for each in DIALECTS])
    chosen = parser.parse_args().dialect
    with TemporaryDirectory() as folder:
        dialects = [each for each in DIALECTS if chosen in (None, each.name)]
        found = asyncio.run(run(list(cells(dialects)), Path(folder)))
    for line in table(found):
        print(line)
    return int(any(judge(cell, seen) for cell, seen in found))


if __name__ == "__main__":
    sys.exit(main())
