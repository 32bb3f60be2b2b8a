"""How many of the things that some providers count in place of tokens a request can come to. Pure.

Speech is counted by the character, a recording by the millisecond, a ranking by hundreds of texts, pictures and pages
one by one. A recording is taken to have half a byte for each millisecond at least, as all have that are no silence.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final, NamedTuple

#: Milliseconds of a recording that a byte may hold, and about how many bytes each has.
_OF_A_BYTE: Final = 2
_BYTES: Final = 16
#: Pages that a document may have (Mistral's OCR), and about how many it has.
_PAGES: Final = (1000, 10)
#: Texts of a ranking that are one search, and bytes of a text that count as one more (Cohere: 500 tokens).
_OF_A_SEARCH: Final = 100
_OF_A_TEXT: Final = 500


class Units(NamedTuple):
    """Things that are counted, at most and about."""

    most: int = 1
    likely: int = 1


def units_of(path: str, body: bytes, told: Any, times: int) -> Units:
    """Bound them; `told` is the body, read, `times` how many answers it wants."""
    if path.endswith("/speech"):
        return Units(max(1, len(body)), max(1, len(body)))
    if "/audio/" in path:
        return Units(max(1, _OF_A_BYTE * len(body)), max(1, len(body) // _BYTES))
    if path.endswith("/ocr"):
        return Units(*_PAGES)
    if path.endswith("/rerank"):
        texts = told.get("documents") if isinstance(told, dict) else None
        count = len(texts) if isinstance(texts, list) else 0
        return Units(
            max(1, ceil((count + len(body) / _OF_A_TEXT) / _OF_A_SEARCH)), max(1, ceil(count / _OF_A_SEARCH))
        )
    return Units(times, times)
