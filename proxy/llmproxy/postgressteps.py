"""Tables that are brought up to date step by step, by whichever gateway comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

#: One gateway takes steps at a time, whichever plugin's they are.
_LOCK: Final = 0x6C6C6D70726F7879

_THERE: Final = "SELECT to_regclass('llmproxy_steps') IS NOT NULL"
_TABLE: Final = "CREATE TABLE llmproxy_steps (name text PRIMARY KEY, done integer NOT NULL)"
_NOTE: Final = """
INSERT INTO llmproxy_steps VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET done = excluded.done
"""


class NewerSteps(Exception):
    """A newer gateway has made the tables."""


async def take_steps(connection: Any, schema: str, name: str, steps: Sequence[str]) -> None:
    """Bring the tables called `name` to the last of their `steps`, all or nothing, in a schema that is made if needed.

    Raises:
        NewerSteps: more have been taken than are known here.
    """
    if await _taken(connection, name) == len(steps):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if await connection.fetchval("SELECT to_regnamespace($1)", schema) is None:
            await connection.execute(f'CREATE SCHEMA "{schema}"')
        if not await connection.fetchval(_THERE):
            await connection.execute(_TABLE)
        taken = await _taken(connection, name)
        if taken > len(steps):
            raise NewerSteps(f"they are of step {taken}, and this gateway knows {len(steps)}")
        for step in steps[taken:]:
            await connection.execute(step)
        await connection.execute(_NOTE, name, len(steps))


async def _taken(connection: Any, name: str) -> int:
    if not await connection.fetchval(_THERE):
        return 0
    found = await connection.fetchval("SELECT done FROM llmproxy_steps WHERE name = $1", name)
    return int(found or 0)
