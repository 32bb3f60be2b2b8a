"""A call's target, filled so that no value in it can lead anywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from llmproxy.plugin import Missing, has_dot_segment, normalise_path

if TYPE_CHECKING:
    from llmproxy.plugin import Reference, TextTemplate

#: Bytes that a target may have.
_LONGEST: Final = 8192

_ELSEWHERE: Final = re.compile(r"[^!-~]|#")


def check_target(text: TextTemplate) -> None:
    """Refuse a template of which no target can be made.

    Raises:
        ValueError: it holds a fragment, or characters that no target has.
    """
    if any(isinstance(piece, str) and _ELSEWHERE.search(piece) for piece in text.pieces):
        raise ValueError("holds a fragment, a space, or characters that are not ASCII")


def fill_target(text: TextTemplate, values: Mapping[str, Any], route_path: str) -> str:
    """Return the target; `route_path` is the pattern that the caller's path matched.

    Raises:
        Missing: a value is not there, would be a path of its own, or the target is too long.
    """
    # A catch-all stands in the caller's path as it was written.
    written = route_path.rpartition("{")[2].removesuffix("...}") if route_path.endswith("...}") else None
    parts: list[str] = []
    in_path = True
    for piece in text.pieces:
        if isinstance(piece, str):
            parts.append(piece)
            in_path = in_path and "?" not in piece
        else:
            parts.append(_spelled(piece, piece.find(values), in_path, written))
    target = "".join(parts)
    if len(target) > _LONGEST:
        raise Missing("target")
    return target


def _spelled(reference: Reference, value: Any, in_path: bool, written: str | None) -> str:
    if reference.source == "params" and reference.path == (written,) and isinstance(value, str):
        return value
    text = reference.spell(value)
    spelled = quote(text, safe=",")
    if in_path and (not text.strip(".") or has_dot_segment(normalise_path("/" + spelled))):
        # A segment that is empty or made of dots would be another place.
        raise Missing(reference.source)
    return spelled
