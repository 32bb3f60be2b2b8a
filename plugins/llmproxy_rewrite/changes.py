"""The changes of a JSON body that a route declares, compiled and done one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from llmproxy_rewrite.pointers import Pointer, remove, rename, set_value
from llmproxy_rewrite.templates import Lookup, Missing, Shape

#: Makes one change of a body.
Change = Callable[[bytes, Lookup], bytes]

#: Bytes of a body that are changed at once: some milliseconds at worst.
AT_ONCE: Final = 32 * 1024


async def changed(changes: Sequence[Change], body: bytes, lookup: Lookup) -> bytes:
    """Return a body after all changes; a large one's are made in a thread, so that others are served meanwhile.

    Raises:
        JsonFault, Unfit: what a change raises.
    """

    def change() -> bytes:
        after = body
        for each in changes:
            after = each(after, lookup)
        return after

    return await asyncio.to_thread(change) if len(body) > AT_ONCE else change()


def setting(pointer: Pointer, shape: Shape) -> Change:
    """Put a value in a place, whatever was there; take that away where the value is missing."""

    def change(body: bytes, lookup: Lookup) -> bytes:
        try:
            value = shape.fill(lookup)
        except Missing:
            # What the caller wrote there must not pass for what the gateway would have set.
            return remove(body, pointer)
        return set_value(body, pointer, value)

    return change


def defaulting(pointer: Pointer, shape: Shape) -> Change:
    """Put a value in a place where there is none."""

    def change(body: bytes, lookup: Lookup) -> bytes:
        try:
            value = shape.fill(lookup)
        except Missing:
            return body
        return set_value(body, pointer, value, only_missing=True)

    return change


def removing(pointer: Pointer) -> Change:
    """Take a value away."""
    return lambda body, lookup: remove(body, pointer)


def renaming(pointer: Pointer, name: str) -> Change:
    """Give a member another name."""
    return lambda body, lookup: rename(body, pointer, name)
