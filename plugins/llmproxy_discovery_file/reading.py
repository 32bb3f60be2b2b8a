"""Reads a list of members as people and scripts write it. Pure."""

from __future__ import annotations

from typing import Any, Final

import orjson
import yaml

from llmproxy.plugin import BadRegistry, PoolMember

_KEYS: Final = frozenset({"host", "port", "weight", "labels"})


def read_members(data: bytes, *, json: bool) -> list[PoolMember]:
    """Return the members that a file lists: a list, or one under the key `members`; a member is text or a mapping.

    Raises:
        BadRegistry: anything in it is not as it must be; a list with one mistake may have more.
    """
    try:
        tree = orjson.loads(data) if json else yaml.safe_load(data)
    except (orjson.JSONDecodeError, yaml.YAMLError, ValueError, RecursionError) as fault:
        raise BadRegistry(f"not {'JSON' if json else 'YAML'}: {_place(fault)}") from None
    entries = tree.get("members") if isinstance(tree, dict) else tree
    if not isinstance(entries, list):
        raise BadRegistry('neither a list nor one under the key "members"')
    return [_member(entry, index) for index, entry in enumerate(entries)]


def _place(fault: Exception) -> str:
    mark = getattr(fault, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else str(fault)[:100]


def _member(entry: Any, index: int) -> PoolMember:
    fields = _fields(entry)
    if fields is None or not fields.keys() <= _KEYS:
        raise BadRegistry(f'members[{index}]: write "10.0.0.1:8080" or {{host, port, weight, labels}}')
    weight = fields.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
        raise BadRegistry(f"members[{index}].weight: not a number from 0 on")
    member = PoolMember.read(fields.get("host"), fields.get("port"), weight, fields.get("labels"))
    if member is None:
        raise BadRegistry(f"members[{index}]: not a host and a port")
    return member


def _fields(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, dict):
        return entry
    host, colon, port = entry.rpartition(":") if isinstance(entry, str) else ("", "", "")
    if not colon or not (port.isascii() and port.isdigit()):
        return None
    return {"host": host.removeprefix("[").removesuffix("]"), "port": int(port[:6])}
