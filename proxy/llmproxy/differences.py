"""Which byte ranges of a body were replaced, told from the two bodies alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Final

from llmproxy.exchange import Edit

#: JSON's tokens, and single bytes where it is none, so that an edit covers whole values.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|\s+|[^\s"{}\[\],:]+|.', re.DOTALL)
#: Tokens compared one by one; between more of them only the first and the last difference are told.
_MOST: Final = 4000


def edits_between(before: bytes, after: bytes) -> list[Edit]:
    """Return the edits that turn `before` into `after`, in order; their ranges are of `before`."""
    if before == after:
        return []
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    start = _size(old[:head])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(old) + len(new) > _MOST:
        return [Edit(start, start + _size(old), b"".join(new))]
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        Edit(start + _size(old[:a]), start + _size(old[:b]), b"".join(new[c:d]))
        for kind, a, b, c, d in changes
        if kind != "equal"
    ]


def _common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    """Count the tokens with which both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _size(tokens: Sequence[bytes]) -> int:
    return sum(map(len, tokens))
