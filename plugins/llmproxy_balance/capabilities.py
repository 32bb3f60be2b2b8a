"""Leaves out places whose model is known to be unable to do what a request needs, and says what that is.

What is not known counts as able. What a target's `capabilities` say holds whatever follows. What the table of providers
says of an upstream (its quirks: which form of answer is the strongest, whether there are embeddings) only counts while
another of the pool's upstreams is not so limited: a translation may make the best of it. Windows come from the
configuration, else from the catalogue of models; what a prompt needs of one is an estimate, which only counts while it
leaves another place to try.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from llmproxy.plugin import Capabilities, Endpoint, Exchange, Place, Pool
from llmproxy_balance.facts import Facts
from llmproxy_balance.needs import needs_of, tokens_of

_FEATURES: Final = tuple(name for name in Capabilities.__struct_fields__ if name not in {"window", "output"})
#: The strongest form of answer that an upstream has, and what it cannot for it.
_BEYOND: Final = {
    "json_schema": (),
    "json_object": ("schema",),
    "none": ("json", "schema"),
}
#: A prompt of so many bytes fits every window that the catalogue knows, with any answer but an endless one.
_SMALL: Final = 2048
#: A body of so small a part of a window, by its bytes, is not read: only an answer as long as the window would not fit.
_EASY: Final = 4
#: What an estimate may be wrong by before a prompt is known not to fit.
_SURE: Final = 0.9
#: Tokens of a picture or a file that is only named in a body, by a URL or an id: bytes do not bound those.
_UNSEEN: Final = frozenset({"vision", "audio", "video", "documents"})
#: Places that are remembered; members come and go.
_REMEMBERED: Final = 4096


class _Ability(NamedTuple):
    """What is known of a place: what it cannot by its configuration, what its provider cannot, its bounds."""

    cannot: frozenset[str]
    #: Likewise by its upstream's quirks.
    weak: frozenset[str]
    window: int | None
    output: int | None
    #: Whether any of that can ever matter for a small prompt.
    free: bool


class CapabilityGate:
    """A gate for `Place`s: admits a place unless its model cannot answer such a request."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: dict[Place, _Ability] = {}
        #: How long a body is at most that fits the window of a place's model, whatever is in it.
        self._easy: dict[tuple[Place, str | None], int] = {}

    def __call__(self, exchange: Exchange, place: Place) -> str:
        """Return "" to admit, else what the place cannot."""
        ability = self._known.get(place)
        if ability is None:
            ability = self._learn(exchange, place)
        body = exchange.body_at_hand
        if ability.free and (
            body is None or len(body) <= _SMALL or len(body) <= self._easy.get((place, exchange.model), 0)
        ):
            return ""
        return self._unable(exchange, ability) or self._too_small(exchange, place, ability)

    def room(self, exchange: Exchange, place: Place) -> int:
        """Return how long a body is at most that a place is known to admit whatever is in it; -1 if none is."""
        ability = self._known.get(place) or self._learn(exchange, place)
        return max(_SMALL, self._easy.get((place, exchange.model), 0)) if ability.free else -1

    def _learn(self, exchange: Exchange, place: Place) -> _Ability:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        told = place.settings.capabilities or Capabilities()
        cannot = frozenset(name for name in _FEATURES if getattr(told, name) is False)
        cannot |= {"schema"} if "json" in cannot and told.schema is None else frozenset()
        able = {name for name in _FEATURES if getattr(told, name)}
        weak = frozenset() if place.endpoint is None else self._weakness(exchange, place.endpoint) - able
        free = not cannot and not weak and told.window is None and told.output is None
        ability = self._known[place] = _Ability(cannot, weak, told.window, told.output, free)
        return ability

    def _weakness(self, exchange: Exchange, endpoint: Endpoint) -> frozenset[str]:
        """Return what an upstream's provider cannot, as the table of providers has it."""
        target = exchange.route.targets.get(endpoint.upstream)
        if target is None or target.upstream.config.dialect != "openai":
            return frozenset()
        quirks = target.upstream.config.quirks
        weak = frozenset(_BEYOND[quirks.format])
        return weak if quirks.embeddings else weak | {"embeddings"}

    def _unable(self, exchange: Exchange, ability: _Ability) -> str:
        if not ability.cannot and not ability.weak:
            return ""
        needed = needs_of(exchange).features
        lacking = needed & ability.cannot
        weak = needed & ability.weak
        if weak and self._others_can(exchange, weak, exchange.endpoints):
            lacking |= weak
        return f"it lacks {', '.join(sorted(lacking))}" if lacking else ""

    def _others_can(
        self,
        exchange: Exchange,
        features: frozenset[str],
        endpoints: Iterable[Endpoint],
    ) -> bool:
        return any(not features & self._weakness(exchange, endpoint) for endpoint in endpoints)

    def _too_small(self, exchange: Exchange, place: Place, ability: _Ability) -> str:
        """Tell how prompt and answer are longer than the model's window, or the answer than it gives."""
        body = exchange.body_at_hand
        window = ability.window
        if window is None and place.endpoint is not None:
            window = self._facts.window(exchange, place.endpoint)
            if window is not None and body is not None and len(body) <= window // _EASY:
                self._remember_easy(exchange, place, window // _EASY)
                window = None
        if body is None or (window is None and ability.output is None):
            return ""
        needs = needs_of(exchange)
        if ability.output is not None and needs.output > ability.output:
            return f"an answer of {needs.output} tokens is asked for, of {ability.output} at most"
        # A token is a byte at least, but for what is only named.
        if window is None or (len(body) + needs.output <= window and not needs.features & _UNSEEN):
            return ""
        tokens = int(tokens_of(exchange, self._facts) * _SURE) + needs.output
        if tokens <= window or not self._fits_elsewhere(exchange, tokens):
            return ""
        return f"about {tokens} tokens are asked for, its window is {window}"

    def _remember_easy(self, exchange: Exchange, place: Place, size: int) -> None:
        if len(self._easy) >= _REMEMBERED:
            self._easy.clear()
        self._easy[place, exchange.model] = size

    def _fits_elsewhere(self, exchange: Exchange, tokens: int) -> bool:
        """Whether a place that is not meant for failures alone is known to read that much, or not known not to."""
        pool = exchange.endpoints
        places = _all(pool) if isinstance(pool, Pool) else ()
        windows = (self._window(exchange, place) for place in places if not place.settings.after)
        return any(window is None or tokens <= window for window in windows)

    def _window(self, exchange: Exchange, place: Place) -> int | None:
        told = place.settings.capabilities
        if told is not None and told.window is not None:
            return told.window
        return None if place.endpoint is None else self._facts.window(exchange, place.endpoint)


def _all(pool: Pool) -> Iterator[Place]:
    """Yield the places of upstreams, those of nested pools included."""
    for place in pool.places:
        if place.pool is None:
            yield place
        else:
            yield from _all(place.pool)
