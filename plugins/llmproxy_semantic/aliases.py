"""The canonical tier: under the form of a question stands the exact key of an answer to it, in the cache's own store.

An alias has the slots, the mark and the end of the answer that it leads to: whatever purges the answer purges the
alias. All workers and hosts that share the store share its aliases.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Answered, Entry
from llmproxy_semantic.canonical import NAME

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace

#: Tells an alias from an answer.
_STATUS: Final = 308
_SALT: Final = NAME.encode()[:16]


def alias_key(partition: bytes, form: str) -> bytes:
    """Return the key of a form's alias; no other partition or form has it."""
    return b"%bq%b" % (partition, blake2b(form.encode(), digest_size=16, salt=_SALT).digest())


async def find_alias(space: CacheSpace, partition: bytes, form: str) -> bytes | None:
    """Return the exact key of an answer to a question of that form."""
    found = await space.get(alias_key(partition, form))
    if found is None or found.stale or found.entry.status != _STATUS:
        return None
    return bytes(found.entry.body)


async def put_alias(partition: bytes, form: str, answered: Answered) -> None:
    """Have a form lead to an answer, for as long as that is kept."""
    of = answered.entry
    entry = Entry(_STATUS, b"", answered.key, mark=of.mark, slots=of.slots, stored=of.stored)
    await answered.space.put(alias_key(partition, form), entry, answered.ttl)


async def drop_alias(space: CacheSpace, partition: bytes, form: str) -> None:
    """Forget what a form leads to."""
    await space.drop(alias_key(partition, form))
