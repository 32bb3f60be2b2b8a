"""What a request would cost at each place, for who takes the cheapest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from llmproxy.plugin import Exchange, Place, Pool, Usage
from llmproxy_balance.facts import Facts
from llmproxy_balance.reading import talk_of

#: Bytes of a prompt for each of its tokens, where nobody can read it.
_BYTES_A_TOKEN = 4


class CheapestOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`output` is how many tokens an answer is taken to have where its request bounds none."""

    output: Annotated[int, msgspec.Meta(ge=0)] = 1000


class Cheapest:
    """The cheapest first: by the catalogue's prices, for the prompt as estimated and the longest answer asked for.

    What has no known price comes after what has one, as written down. Whether a request fits at all is not judged here:
    places that it does not fit are left out before.
    """

    def __init__(self, options: CheapestOptions, facts: Facts) -> None:
        self._options = options
        self._facts = facts
        facts.want()

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return them by what they would cost."""
        usage = self.expected(exchange)
        costs = {place: self.cost(exchange, place, usage) for place in places}
        dearest = float("inf")
        return sorted(
            places,
            key=lambda place: dearest if (cost := costs[place]) is None else cost,
        )

    def expected(self, exchange: Exchange) -> Usage:
        """Return what tokens the request is taken to use."""
        talk = talk_of(exchange)
        if talk is None:
            return Usage(
                input=len(exchange.body_at_hand or b"") // _BYTES_A_TOKEN,
                output=self._options.output,
            )
        output = self._options.output if talk.max_tokens is None else talk.max_tokens
        return Usage(input=self._facts.tokens(exchange, talk), output=output * (talk.n or 1))

    def cost(self, exchange: Exchange, place: Place, usage: Usage) -> int | None:
        """Return microdollars, of a pool those at its cheapest place; None where no price is known."""
        if place.pool is not None:
            return self._cheapest(exchange, place.pool, usage)
        return None if place.endpoint is None else self._facts.price(exchange, place.endpoint, usage)

    def _cheapest(self, exchange: Exchange, pool: Pool, usage: Usage) -> int | None:
        costs = (self.cost(exchange, inner, usage) for inner in pool.places)
        return min((cost for cost in costs if cost is not None), default=None)
