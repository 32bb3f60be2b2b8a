"""Cheaper models for what is left: which calls go to another model while a budget nears its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Endpoint, Exchange, Pool, Reply, StateKey, reserving

if TYPE_CHECKING:
    from llmproxy_quota.book import Rule
    from llmproxy_quota.config import LimitConfig
    from llmproxy_quota.pricing import Pricing
    from llmproxy_quota.taking import Taker

#: Seconds for which it is known how much of a limit is taken, and limits of which it is known.
_FRESH: Final = 1.0
_REMEMBERED: Final = 10_000
#: What only the model, or the provider, that made it understands.
_MADE: Final = re.compile(
    rb'"(?:previous_response_id|conversation|item_reference|encrypted_content|cachedContent|cached_content|prompt_id'
    rb"|container|file_id|vector_store_ids|signature|thoughtSignature|thought_signature|reasoning_details)\"\s*:"
)
#: What a call is taken to use where two models are compared, besides its prompt.
_OUTPUT: Final = 500
_BYTES_A_TOKEN: Final = 4
_ASKED: Final = b"x-llmproxy-explain"
_TOLD: Final = "x-llmproxy-budget"

#: The limit that had a call go to another model, and that model.
SAVED: Final[StateKey[tuple[str, str]]] = StateKey("quota.saved")


def is_near(config: LimitConfig, standing: reserving.Standing) -> bool:
    """Whether more than the named share of a limit is taken."""
    return config.near is not None and config.whole - standing.left > config.near * config.whole


def is_bound(body: bytes) -> bool:
    """Whether a request refers to what only the model that made it, or its provider, understands."""
    return _MADE.search(body) is not None


def named(endpoints: Sequence[Endpoint] | None, model: str) -> Sequence[Endpoint] | None:
    """Return places that say which model they are asked for; None where that cannot be said."""
    if not endpoints or all(each.model is not None for each in endpoints):
        return endpoints or None
    if isinstance(endpoints, Pool):
        return None  # its places are chosen as they stand
    return tuple(replace(each, model=each.model or model) for each in endpoints)


def is_cheaper(
    pricing: Pricing, exchange: Exchange, one: Sequence[Endpoint], other: Sequence[Endpoint], size: int
) -> bool:
    """Whether a request of that many bytes costs less at the first places, both prices being known."""
    tokens = (size // _BYTES_A_TOKEN + 1, _OUTPUT)
    cheap, dear = (pricing.dearest(exchange, places, tokens) for places in (one, other))
    return cheap is not None and dear is not None and cheap < dear


class Saver:
    """Sends calls of one plugin instance to cheaper models."""

    def __init__(self, pricing: Pricing, taker: Taker, now: Callable[[], float]) -> None:
        self._pricing = pricing
        self._taker = taker
        self._now = now
        self._near: dict[bytes, tuple[float, bool]] = {}

    async def save(self, exchange: Exchange, tag: bytes, rules: Sequence[Rule]) -> None:
        """Let a call be answered by the cheaper model that a limit names which is near its end."""
        models, asked = exchange.route.models, exchange.model
        if models is None or asked is None or exchange.upgraded or exchange.endpoints:
            return
        saving = [rule for rule in rules if rule.config.then is not None]
        if not saving or is_bound(body := await exchange.body()):
            return
        for rule in await self._nearing(tag, saving):
            assert rule.config.then is not None
            model = rule.config.then.model
            if exchange.may_ask is not None and not exchange.may_ask(model):
                continue
            places, present = named(models.resolve(model), model), models.resolve(asked)
            if places and present and is_cheaper(self._pricing, exchange, places, present, len(body)):
                exchange.endpoints = places
                exchange.state[SAVED] = (rule.config.name, model)
                self._taker.count_saved(rule.config.name)
                return

    async def _nearing(self, tag: bytes, rules: Sequence[Rule]) -> list[Rule]:
        now = self._now()
        old = [rule for rule in rules if self._near.get(rule.limit.key, (0.0, False))[0] <= now]
        if old:
            if len(self._near) >= _REMEMBERED:
                self._near.clear()
                old = list(rules)
            standings = await self._taker.look(tag, old)
            for rule, standing in zip(old, standings, strict=False):
                self._near[rule.limit.key] = (now + _FRESH, is_near(rule.config, standing))
        return [rule for rule in rules if self._near.get(rule.limit.key, (0.0, False))[1]]


def tell(exchange: Exchange, reply: Reply) -> None:
    """Tell a caller who asks that another model answered, and for which limit's sake."""
    saved = exchange.state.get(SAVED)
    asked = exchange.request.headers.index.get(_ASKED, b"")
    if saved is not None and b"budget" in (word.strip().lower() for word in asked.split(b",")):
        limit, model = saved
        shown = model.encode("ascii", "replace").decode().replace("\\", "").replace('"', "")
        reply.headers.set(_TOLD, f'"{limit}";model="{shown}"')


def foresee(limits: Sequence[LimitConfig], body: bytes) -> Iterator[tuple[str, str]]:
    """Say, for `llmproxy explain`, which limits would send a request elsewhere while they are near their end."""
    for limit in limits:
        if limit.then is not None and limit.near is not None:
            share = f"{limit.near * 100:f}".rstrip("0").rstrip(".")
            text = f"above {share} % taken, {limit.then.model!r} answers if it costs less"
            held = "; not this request, which refers to what its model made" if is_bound(body) else ""
            yield f"limit {limit.name}", text + held
