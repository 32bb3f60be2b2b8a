"""Prometheus' text of what was counted, version 0.0.4 of the format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.metrics import Families, Family


def render(merged: Families) -> str:
    """Return the text of summed metrics, by their names."""
    return "".join(f"{line}\n" for name in sorted(merged) for line in _lines(name, merged[name]))


def _lines(name: str, family: Family) -> Iterator[str]:
    help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {family.kind}"
    for values, vector in sorted(family.series.items()):
        pairs = [f'{label}="{_escape(value)}"' for label, value in zip(family.labels, values, strict=True)]
        if family.kind == "histogram":
            yield from _histogram_lines(name, pairs, family.buckets, vector)
        else:
            yield f"{name}{_braced(pairs)} {_number(vector[0])}"


def _histogram_lines(
    name: str, pairs: list[str], buckets: tuple[float, ...], vector: list[int | float]
) -> Iterator[str]:
    *counts, total = vector
    for bound, count in zip((*buckets, math.inf), accumulate(counts), strict=True):
        below = f'le="{_number(bound)}"'
        yield f"{name}_bucket{_braced([*pairs, below])} {count}"
    yield f"{name}_sum{_braced(pairs)} {_number(total)}"
    yield f"{name}_count{_braced(pairs)} {sum(counts)}"


def _braced(pairs: list[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)
