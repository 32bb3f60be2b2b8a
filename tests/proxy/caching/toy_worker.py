"""A toy worker for the tests of flights between processes: a real bus, real claims, and an upstream that obeys.

Started as a script with the bus's directory and its slot; it does what each line on standard input says, and answers
with a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import uvloop

from llmproxy.body import Body
from llmproxy.bus import Bus
from llmproxy.caching.flights import Flights
from llmproxy.caching.hostflights import HostFlights
from llmproxy.caching.seats import Landed
from llmproxy.errors import GatewayError, UpstreamError
from llmproxy.exchange import Endpoint
from llmproxy.messages import Headers, Reply, StoredReply
from llmproxy.tasks import spawn
from llmproxy.testing import make_exchange

KEY = "k"


class ToyWorker:
    """Flights among the workers of one directory, whose upstream calls wait until they are answered."""

    def __init__(self, directory: Path, slot: int) -> None:
        self.bus = Bus(directory, slot)
        self.host = HostFlights(self.bus, directory)
        self.flights = Flights("toy", self.host)
        self.calls: list[asyncio.Future[Reply]] = []
        self.callers: list[asyncio.Task[Any]] = []
        self.shareable = True
        self.kept: list[str] = []
        self.stored: str | None = None
        self.body = Body()
        self.given_up = 0

    async def start(self) -> None:
        await self.bus.start()

    async def close(self) -> None:
        for caller in self.callers:
            caller.cancel()
        await asyncio.sleep(0)
        await self.flights.close()
        self.host.close()
        await self.bus.close()

    async def do(self, word: str, **what: Any) -> Any:
        """Do one thing; what it gives can be told as JSON."""
        done = getattr(self, f"do_{word}")(**what)
        return await done if asyncio.iscoroutine(done) else done

    # Callers.

    def do_call(self, count: int = 1, key: str = KEY, started: float = 1e12, language: str = "") -> None:
        for _ in range(count):
            self.callers.append(spawn(self.answered(key, started, language), name="caller"))

    async def answered(self, key: str, started: float, language: str) -> list[Any]:
        exchange = make_exchange(started=started, endpoints=[Endpoint("mine")])
        try:
            landed = await self.flights.run(
                key.encode(),
                exchange,
                self.fetch,
                shareable=lambda _: self.shareable,
                keep=self.keep,
                recheck=self.recheck,
                variant=lambda _: language.encode(),
            )
            return [landed.role, await self.text(landed), exchange.endpoint and exchange.endpoint.upstream]
        except GatewayError as error:
            return [type(error).__name__, str(error), error.status]

    async def text(self, landed: Landed) -> str:
        body = landed.reply.body
        data = await body.read(1 << 30) if isinstance(body, Body) else body
        return f"{landed.reply.headers.get('etag')} {len(data)} {data[:20].decode()}"

    async def do_told(self) -> list[Any]:
        """Return what the callers so far were told, each once."""
        callers, self.callers = self.callers, []
        return [await caller for caller in callers]

    def do_leave(self) -> None:
        for caller in self.callers:
            caller.cancel()
        self.callers = []

    def do_state(self) -> dict[str, Any]:
        flights = self.flights
        flying = list(flights._flying.values())
        tapes = [flight.shared.tape for flight in flying if flight.shared is not None]
        return {
            "following": sum(len(flight.cabin.followers) for flight in flying),
            "reading": sum(len(tape._live) + len(tape._behind) for tape in tapes if tape is not None),
            "calls": len(self.calls),
            "cancelled": sum(call.cancelled() for call in self.calls),
            "given_up": self.given_up,
            "kept": self.kept,
            "flying": len(flights),
            "counts": [flights.led, flights.joined, flights.alone, flights.handed_over],
        }

    # The upstream, and the store.

    async def fetch(self) -> Reply:
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]

    def keep(self, reply: StoredReply) -> None:
        self.kept.append(reply.body[:20].decode())

    async def recheck(self) -> Reply | None:
        return None if self.stored is None else Reply(200, None, self.stored.encode())

    def do_share(self, yes: bool) -> None:
        self.shareable = yes

    def do_store(self, text: str) -> None:
        self.stored = text

    def do_answer(self, text: str = "hello", size: int = 0, status: int = 200, call: int = -1) -> None:
        body = text.encode() or bytes(size)
        self.calls[call].set_result(Reply(status, Headers.of({"etag": "1"}), body))

    def do_fail(self, own: bool = False, call: int = -1) -> None:
        error: GatewayError = GatewayError(429, "quota", "Too much.")
        if not own:
            error = UpstreamError("upstream_reset", "It broke.", phase="headers", sent=True)
        self.calls[call].set_exception(error)

    def do_stream(self) -> None:
        self.body = Body(abandon=self._give_up)
        self.calls[-1].set_result(Reply(200, Headers.of({"etag": "1"}), self.body))

    def _give_up(self) -> None:
        self.given_up += 1
        self.body.fail(ConnectionAbortedError("given up"))

    def do_feed(self, text: str = "", size: int = 0) -> None:
        self.body.feed(text.encode() or bytes(size))

    def do_end(self) -> None:
        self.body.end()

    def do_break(self) -> None:
        self.body.fail(UpstreamError("upstream_reset", "It broke.", phase="body", sent=True))

    # The claims.

    def do_claim(self, place: int) -> bool:
        return self.host.claim(place)

    def do_release(self, place: int) -> None:
        self.host.release(place)

    def do_holder(self, place: int) -> int | None:
        holder = self.host.holder(place)
        return None if holder is None else holder.pid

    def do_pid(self) -> int:
        return os.getpid()


async def main() -> None:
    worker = ToyWorker(Path(sys.argv[1]), int(sys.argv[2]))
    await worker.start()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb")
    )
    while line := await reader.readline():
        what = orjson.loads(line)
        print(orjson.dumps(await worker.do(**what)).decode(), flush=True)
    await worker.close()


if __name__ == "__main__":
    uvloop.run(main())
