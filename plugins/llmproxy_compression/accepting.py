"""Which content coding a caller takes (RFC 9110 §12.5.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_MEMBER: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?", re.ASCII
)
_ALIASES: Final = {"x-gzip": "gzip"}

#: Fields that are remembered, and how long they may be: callers decide what stands there.
_REMEMBERED: Final = 512
_LONGEST: Final = 256


class Choice:
    """Chooses among codings, the best first where a caller takes several alike."""

    def __init__(self, codings: Sequence[str]) -> None:
        self._codings = tuple(codings)
        self._known: dict[bytes, str | None] = {}

    def of(self, field: bytes | None) -> str | None:
        """Return the coding for an `Accept-Encoding`; None for none, or where the field is not there."""
        if field is None:
            return None
        if field in self._known:
            return self._known[field]
        chosen = self._choose(field)
        if len(self._known) < _REMEMBERED and len(field) <= _LONGEST:
            self._known[field] = chosen
        return chosen

    def _choose(self, field: bytes) -> str | None:
        weights = read_weights(field.decode("latin-1"))
        other = weights.get("*", 0.0)
        best, most = None, 0.0
        for coding in self._codings:
            weight = weights.get(coding, other)
            if weight > most:
                best, most = coding, weight
        # Who writes no weight for plain answers takes them, but likes others as well.
        return best if most >= weights.get("identity", 0.0) else None


def read_weights(field: str) -> dict[str, float]:
    """Return the weight of each coding that a field names; what is broken in it counts for nothing."""
    weights: dict[str, float] = {}
    for member in field.split(","):
        found = _MEMBER.fullmatch(member)
        if found is not None:
            name = found[1].lower()
            weights.setdefault(_ALIASES.get(name, name), 1.0 if found[2] is None else float(found[2]))
    return weights
