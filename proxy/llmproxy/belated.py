"""Usage that is told later than what used it was asked for: of batches, of answers made in the background.

A tap reads it out of the answer to a later call, and leaves it with the exchange:

    exchange.state[TOLD] = Belated("msgbatch_1", (Spent("claude-sonnet-4-5", usage),), BATCH)

Who counts or charges asks `await belated(exchange)` when the exchange is over. Callers fetch such answers as often as
they like; each is accounted for once, with whoever comes first, as far as the store remembers that `memory` names in the
configuration: without one each worker does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.exchange import Endpoint, StateKey, Usage
from llmproxy.secondhand import WHOLE, Secondhand
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.keys import key

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: What providers ask for a batch, of the price of calls one by one: OpenAI, Azure, Anthropic, Google, Mistral, Groq and
#: xAI document the half.
BATCH: Final = WHOLE // 2
#: Seconds for which is remembered what was accounted for; batches and their results are kept for a month at most.
_REMEMBERED: Final = 40 * 86400.0


class Spent(NamedTuple):
    """What one model used, by the name that its provider tells, "" where it tells none."""

    model: str
    usage: Usage


class Belated(NamedTuple):
    """What was used by something that has a `name` of its provider's; `share` millionths of its price count."""

    name: str
    spent: tuple[Spent, ...]
    share: int = WHOLE


#: What the answer to a call tells of an earlier one.
TOLD: Final[StateKey[Belated]] = StateKey("belated.told")
_FOUND: Final[StateKey[tuple[Secondhand, ...]]] = StateKey("belated.found")


async def belated(exchange: Exchange) -> Sequence[Secondhand]:
    """Return what is to be accounted for beside the exchange's own attempts; mostly nothing.

    It is the same for all who ask, and nothing for any later exchange that is told the same. A store that is away
    remembers nothing: then the next one to fetch the answer accounts for it.
    """
    told = exchange.state.get(TOLD)
    if told is None or not exchange.attempts:
        return ()
    found = exchange.state.get(_FOUND)
    if found is None:
        upstream = exchange.attempts[-1].endpoint.upstream
        found = ()
        if await _is_first(exchange, upstream, told.name):
            found = tuple(
                Secondhand(
                    "belated", Endpoint(upstream, spent.model or None), spent.usage, told.share, told.name
                )
                for spent in told.spent
            )
        exchange.state[_FOUND] = found
    return found


async def _is_first(exchange: Exchange, upstream: str, name: str) -> bool:
    """Whether nobody has accounted for it yet; from now on somebody has."""
    tenant = exchange.caller.tenant
    try:
        store = await exchange.route.open_memory()
        return await store.add(key(tenant, "-", "belated", upstream, name), b"1", ttl=_REMEMBERED)
    except ValueError:
        return False
    except StoreAway:
        from structlog import get_logger  # noqa: PLC0415  # whoever imports llmproxy.plugin pays for it otherwise

        get_logger("llmproxy").warning("belated_usage_not_counted", exchange=exchange.id, upstream=upstream)
        return False
