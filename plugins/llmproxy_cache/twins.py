"""Whether a body says a thing twice, so that two readers of it may take it for two questions.

Who shares answers with strangers must not keep one that was asked for in such a way: the key is made of one reading,
the provider may have had the other.
"""

from __future__ import annotations

import re
from typing import Final

#: A string (with the colon that makes it a name), or a bracket.
_TOKEN: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)

#: Bytes that are looked through: more would take too long beside answers that others wait for.
_MOST: Final = 256 * 1024


def has_twins(body: bytes) -> bool:
    """Say whether any object of a JSON text may hold two members of one name; a text too long to tell may."""
    if len(body) > _MOST:
        return True
    open_: list[set[bytes]] = []
    for found in _TOKEN.finditer(body):
        sign = found.group()[:1]
        if sign == b"{":
            open_.append(set())
        elif sign == b"}":
            if open_:
                open_.pop()
        elif sign == b'"' and found.group(2) is not None and open_:
            name = found.group(1)
            # A name in other spelling could be any other's.
            if name in open_[-1] or b"\\" in name:
                return True
            open_[-1].add(name)
    return False
