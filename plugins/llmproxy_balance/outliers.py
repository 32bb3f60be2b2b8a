"""Which place of a pool does worse than the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy_balance.healthsettings import OutlierSettings
    from llmproxy_balance.recent import Recent


def stands_out(own: Recent, others: Iterable[Recent], settings: OutlierSettings) -> bool:
    """Whether `own` outcomes are worse by the margin than the median of the pool, of those with enough of them."""
    if own.total < settings.volume:
        return False
    rates = [other.good / other.total for other in others if other.total >= settings.volume]
    rate = own.good / own.total
    # Of two numbers the median is the mean, which is never far from the worse: compared is with the others then.
    middle = median([*rates, rate]) if len(rates) > 1 else median(rates) if rates else rate
    return rate <= middle - settings.margin


def may_leave(out: int, places: int, settings: OutlierSettings) -> bool:
    """Whether one more of a pool's places may be taken out; the last one never."""
    return out + 1 < places and out + 1 <= settings.most * places
