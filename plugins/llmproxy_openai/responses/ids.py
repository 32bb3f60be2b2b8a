"""Names of responses and of their items: made here, read again when a caller sends them back."""

from __future__ import annotations

import re
import secrets
from typing import Final

_RESPONSE: Final = "resp_"
_ITEM: Final = re.compile(r"(?:rs|msg|fc|ctc|ig)_([0-9a-f]{32})_([0-9]{1,6})")


def response_id() -> str:
    """Make a response's name; it is never sent upstream, so chance does no harm to a prompt cache."""
    return _RESPONSE + secrets.token_hex(16)


def item_id(kind: str, response: str, block: int) -> str:
    """Return the name of the item whose first block has this number among the answer's."""
    return f"{kind}_{response.removeprefix(_RESPONSE)}_{block}"


def place_of(item: str) -> tuple[str, int] | None:
    """Return which response an item's name belongs to, and its first block; None for names from elsewhere."""
    found = _ITEM.fullmatch(item)
    return None if found is None else (_RESPONSE + found[1], int(found[2]))
