"""Where a request belongs: to who made what it refers to, before all else; to where its session's prompt is warm.

await belonging.prepare(exchange, pool)     # once a request, before its line-up
place = belonging.prefer(exchange, pool, places)
belonging.read(exchange, reply)             # what this answer makes will be asked for there
belonging.served(exchange, place)           # the session stays where it was answered
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import Body, StateKey, Usage
from llmproxy_balance.affinity import Affinity
from llmproxy_balance.origins import SIGN, Origin, OriginReader, Origins, items_of
from llmproxy_balance.sessions import key_of

if TYPE_CHECKING:
    from llmproxy.plugin import Clock, Endpoint, Exchange, Place, Pool, Reply, Tariff
    from llmproxy_balance.belongingsettings import AffinitySettings

#: Models whose prices are remembered.
_REMEMBERED: Final = 1024
#: Tokens by which two prices are compared.
_MANY: Final = 1_000_000

_HELD_ELSEWHERE: Final = "what the request refers to is held by another upstream"


class _Wish:
    """Where one request belongs, and where each pool on its way sent it."""

    __slots__ = ("chosen", "key", "origin", "settings")

    def __init__(self, key: bytes | None, origin: Origin | None, settings: AffinitySettings | None) -> None:
        self.key = key
        self.origin = origin
        self.settings = settings
        self.chosen: dict[str, tuple[Pool, Place]] = {}


_WISH: Final = StateKey[_Wish]("balance.wish")


class Belonging:
    """What one plugin instance knows of callers' sessions and of who made what; `start` runs work beside everything."""

    def __init__(
        self,
        origins: Origins,
        affinities: dict[str, Affinity],
        tariff: Tariff,
        clock: Clock,
        start: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self.origins = origins
        self._tariff = tariff
        self._clock = clock
        self._start = start
        self._affinities = affinities
        self._asked_prices = False
        self._pays: dict[tuple[Endpoint, str | None], bool] = {}

    async def prepare(
        self, exchange: Exchange, pool: Pool, settings: AffinitySettings | None, *, follow: bool = True
    ) -> None:
        """Find out where a request belongs; most belong nowhere. It goes back to makers if it shall `follow`."""
        if exchange.upgraded or isinstance(exchange.upload, Body):
            return
        body, origin = await exchange.body(), None
        if follow and exchange.client_face is not None and len(pool.upstreams) > 1:
            items = items_of(body, exchange.request.path)
            origin = await self.origins.find(exchange.caller.tenant, items) if items else None
        key = None if settings is None else key_of(exchange, body, settings.by)
        if key is not None or origin is not None:
            exchange.state[_WISH] = _Wish(key, origin, settings)

    def wishes(self, exchange: Exchange) -> bool:
        """Whether a request belongs anywhere."""
        return _WISH in exchange.state

    def prefer(self, exchange: Exchange, pool: Pool, places: Sequence[Place]) -> Place | None:
        """Return the place of a pool where a request belongs, among those that may be tried."""
        wish = exchange.state.get(_WISH)
        if wish is None:
            return None
        if wish.origin is not None:
            made = wish.origin.upstream
            found = next((place for place in places if leads_to(place, made)), None)
            if found is not None:
                return found
        settings = wish.settings
        if wish.key is None or settings is None or len(places) < 2:
            return None
        if not settings.always and not any(self._pays_at(exchange, place) for place in places):
            return None
        affinity = self._affinities.get(pool.name)
        if affinity is None or affinity.settings != settings:
            affinity = self._affinities[pool.name] = Affinity(settings)
        found = affinity.choose(wish.key, places, self._clock.now())
        wish.chosen[pool.name] = pool, found
        return found

    def gate(self, exchange: Exchange, place: Place) -> str:
        """Refuse a place that cannot know what the request refers to."""
        wish = exchange.state.get(_WISH)
        if wish is None or wish.origin is None or not wish.origin.strict:
            return ""
        return "" if leads_to(place, wish.origin.upstream) else _HELD_ELSEWHERE

    def read(self, exchange: Exchange, reply: Reply) -> None:
        """Remember what an answer makes that only its maker will understand."""
        body, path = reply.body, exchange.request.path
        if type(body) is bytes and path.endswith("/completions") and body.find(SIGN) < 0:
            return  # chat completions hold no ids that are asked for later, and nothing sealed: only signatures
        endpoint = exchange.endpoint
        if endpoint is None or not exchange.attempts or exchange.attempts[-1].translated:
            return  # what a translation tells of is the gateway's own, and is kept by it
        reader = OriginReader(partial(self._remember, exchange, endpoint.upstream), path)
        if isinstance(body, Body):
            body.observe(reader)
        else:
            reader.feed(body)

    def _remember(self, exchange: Exchange, upstream: str, found: Sequence[bytes]) -> None:
        work = self.origins.remember(exchange.caller.tenant, found, upstream)
        self._start(work, "remember-origins")

    def served(self, exchange: Exchange, place: Place) -> None:
        """Count a session for the place that answered it, in each pool on the way; it stays there from now on."""
        wish = exchange.state.get(_WISH)
        if wish is None or wish.key is None:
            return
        now = self._clock.now()
        for pool, chosen in wish.chosen.values():
            lies_in = (
                chosen if _holds(chosen, place) else next((p for p in pool.places if _holds(p, place)), None)
            )
            if lies_in is not None:
                self._affinities[pool.name].served(wish.key, lies_in, now)
        wish.chosen.clear()

    def _pays_at(self, exchange: Exchange, place: Place) -> bool:
        """Whether a prompt that was read before costs less there; where nobody knows, it may well."""
        endpoint = place.endpoint
        if endpoint is None:
            return True
        asked = (endpoint, None if endpoint.model is not None else exchange.model)
        known = self._pays.get(asked)
        if known is None:
            cached = self._tariff.price(endpoint, Usage(cache_read=_MANY), asked[1])
            plain = self._tariff.price(endpoint, Usage(input=_MANY), asked[1])
            if cached is None or plain is None:
                self._load_prices()
                return True
            known = cached < plain
            if len(self._pays) < _REMEMBERED:
                self._pays[asked] = known
        return known

    def _load_prices(self) -> None:
        if not self._asked_prices:
            self._asked_prices = True
            self._start(self._tariff.load(), "tariff")


def leads_to(place: Place, upstream: str) -> bool:
    """Whether a place is that upstream's, or a pool with one of it."""
    if place.pool is not None:
        return upstream in place.pool.upstreams
    return place.endpoint is not None and place.endpoint.upstream == upstream


def _holds(outer: Place, place: Place) -> bool:
    if outer.pool is None:
        return outer is place
    return any(_holds(each, place) for each in outer.pool.places)
