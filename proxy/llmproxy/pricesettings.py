"""What calls cost by the configuration: the section `prices`, by `UPSTREAM/MODEL` or `UPSTREAM/*`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from llmproxy.sections import Section

#: Dollars for a million tokens.
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]


class PriceConfig(Section, frozen=True):
    """Dollars for a million tokens of each kind, and for a call; what is left out costs as its likest.

    `cache_write_1h` is for what a cache keeps an hour instead of minutes.
    """

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    reasoning: Dollars | None = None
    request: Annotated[float, Meta(ge=0, le=10)] = 0
