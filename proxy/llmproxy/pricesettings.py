"""What calls cost by the configuration, and what a route charges for answers that it makes no call for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from llmproxy.sections import Section

#: A part of a price: 0 is nothing, 1 all of it.
Share = Annotated[float, Meta(ge=0, le=1)]
#: Dollars for a million tokens.
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]


class PriceConfig(Section, frozen=True):
    """Dollars for a million tokens of each kind, and for a call; what is left out costs as its likest.

    `cache_write_1h` is for what a cache keeps an hour instead of minutes, `unit` for each picture, page, character that
    is spoken, search or millisecond of a recording where a provider tells these.
    """

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    input_image: Dollars | None = None
    output_audio: Dollars | None = None
    output_image: Dollars | None = None
    request: Annotated[float, Meta(ge=0, le=10)] = 0
    unit: Annotated[float, Meta(ge=0, le=100)] | None = None


class ChargingConfig(Section, frozen=True):
    """Which share of an answer's price is charged to who makes no call for it; who makes the call pays all of it.

    `hits` are of answers that a cache has, `followers` of those who share the answer of a call that is in the air.
    """

    hits: Share = 0
    followers: Share = 0
