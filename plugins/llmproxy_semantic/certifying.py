"""How sure a share is that was counted: bounds by Clopper and Pearson. Pure.

upper(wrong=1, of=3061)  # 0.0018: with 95 % confidence at most so many are wrong
"""

from __future__ import annotations

import math
from typing import Final

#: What of the confidence is left to either side where both bounds are told.
_ONE_SIDE: Final = 0.025
_STEPS: Final = 200
_TINY: Final = 1e-300
_CLOSE: Final = 1e-14
_HALVINGS: Final = 60


def lower(counted: int, of: int, risk: float = _ONE_SIDE) -> float:
    """Return a share that the true one is below with a probability of at most `risk`."""
    _check(counted, of)
    return 0.0 if counted == 0 else _quantile(risk, counted, of - counted + 1)


def upper(counted: int, of: int, risk: float = _ONE_SIDE) -> float:
    """Return a share that the true one is above with a probability of at most `risk`."""
    _check(counted, of)
    return 1.0 if counted == of else _quantile(1 - risk, counted + 1, of - counted)


def holds(counted: int, of: int, share: float, risk: float) -> bool:
    """Tell whether `upper` is at most a share, in a sixtieth of the time."""
    _check(counted, of)
    return counted < of and _beta(share, counted + 1, of - counted) >= 1 - risk


def exceeds(counted: int, of: int, share: float, risk: float) -> bool:
    """Tell whether `lower` is above a share, in a sixtieth of the time."""
    _check(counted, of)
    return counted > 0 and _beta(share, counted, of - counted + 1) < risk


def _check(counted: int, of: int) -> None:
    if not 0 <= counted <= of:
        raise ValueError(f"{counted} of {of} is no share")


def _quantile(probability: float, a: int, b: int) -> float:
    """Return where the distribution of beta(a, b) reaches a probability: it only grows, so halving finds it."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function (DLMF 8.17), by a continued fraction."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta(1.0 - x, b, a)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction's value (DLMF 8.17.22), from the front by Lentz's method."""
    value, up, down = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        down = 1.0 / (_away_from_zero(1.0 + term * down))
        up = _away_from_zero(1.0 + term / up)
        value *= up * down
        if abs(up * down - 1.0) < _CLOSE:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
