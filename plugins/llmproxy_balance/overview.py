"""What `GET /balance` shows: each pool's places, and how each worker of the host sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from llmproxy.plugin import AdminRequest, Place, Pool, Reply, Runtime
from llmproxy_balance.roll import Record, Roll

_TOPIC: Final = "balance.overview"


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One place as one worker sees it; times are ISO 8601 and seconds."""

    state: str
    cause: str
    since: str
    share: float
    retry_in: float | None
    in_flight: int
    latency: float | None


#: By pool and place.
View = dict[str, dict[str, Seen]]

_encode: Final = msgspec.msgpack.encode
_decoder: Final = msgspec.msgpack.Decoder(View)


class Overview:
    """One worker's view, and all of them together."""

    def __init__(self, runtime: Runtime, roll: Roll) -> None:
        self._runtime = runtime
        self._roll = roll
        self._topic = f"{_TOPIC}:{runtime.name}"

    def start(self) -> Callable[[], None]:
        """Answer other workers from now on; return what ends that."""
        return self._runtime.bus.answer(self._topic, lambda *_: _encode(self.view()))

    def view(self) -> View:
        """Return what this worker sees."""
        pools = self._runtime.pools
        for pool in pools.values():
            self._roll.adopt(pool)
        return {name: dict(self._places(pool.places)) for name, pool in pools.items()}

    def _places(self, places: Iterable[Place]) -> Iterable[tuple[str, Seen]]:
        for place in places:
            record = self._roll.records.get(place.endpoint) if place.endpoint is not None else None
            if record is not None:
                yield place.name, self._seen(record)

    def _seen(self, record: Record) -> Seen:
        clock, health = self._runtime.clock, record.health
        now = clock.now()
        health.advance(now)
        since = datetime.fromtimestamp(clock.wall() - (now - health.since), UTC)
        return Seen(
            health.state.word,
            health.cause,
            since.isoformat(timespec="seconds"),
            round(health.share(now), 3),
            round(health.wait(now), 3) or None,
            record.in_flight,
            None if record.latency is None else round(record.latency, 4),
        )

    async def answer(self, request: AdminRequest) -> Reply:
        """Tell all pools of this generation, with the views of all workers."""
        bus = self._runtime.bus
        answers = await bus.ask(self._topic)
        views = {bus.me.slot: self.view()}
        for peer, payload in answers.payloads.items():
            views.setdefault(peer.slot, _decoder.decode(payload))
        told: dict[str, Any] = {
            "pools": [shown(pool, views) for _, pool in sorted(self._runtime.pools.items())],
        }
        if answers.missing:
            told["missing"] = {str(peer.slot): why for peer, why in answers.missing.items()}
        return Reply.json(told)


def shown(pool: Pool, views: Mapping[int, View]) -> dict[str, Any]:
    """Return a pool as it is shown; of a place that is a pool, its name."""
    return {"name": pool.name, "places": [_shown_place(pool.name, place, views) for place in pool.places]}


def _shown_place(pool: str, place: Place, views: Mapping[int, View]) -> dict[str, Any]:
    if place.pool is not None:
        return {"name": place.name, "pool": place.pool.name, "weight": place.weight}
    endpoint = place.endpoint
    seen = {
        str(slot): msgspec.structs.asdict(view[pool][place.name])
        for slot, view in sorted(views.items())
        if place.name in view.get(pool, ())
    }
    return {
        "name": place.name,
        "upstream": None if endpoint is None else endpoint.upstream,
        "model": None if endpoint is None else endpoint.model,
        "weight": place.weight,
        "workers": seen,
    }
