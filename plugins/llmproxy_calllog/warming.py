"""Calls of the log as a warm file, which `llmproxy cache warm` makes again: a line for each question that was answered.

Only a request that is kept in full, and whole, can be asked again as it was. The same question of the same caller is
asked once. Header fields are not kept, so what depends on them is asked without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

#: How calls ended whose answers were whole.
_ANSWERED: Final = frozenset({"ok", "hit"})
_LABELS: Final = ("org", "team", "user")


def warm_lines(calls: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Give the lines of records that are read with their bodies, in the order of the records."""
    given: set[bytes] = set()
    for call in calls:
        line = _line(call)
        if line is not None and line not in given:
            given.add(line)
            yield line


def _line(call: Mapping[str, Any]) -> bytes | None:
    if (
        call["bodies"] != "full"
        or not call["path"]
        or call["result"] not in _ANSWERED
        or call["status"] != 200
    ):
        return None
    try:
        body = orjson.loads(call["request"] or "")
    except orjson.JSONDecodeError:  # it was cut
        return None
    who = {name: call[name] for name in ("tenant", "key") if call[name]}
    labels = {name: call[name] for name in _LABELS if call[name]}
    # as text, so that each byte of it is asked again
    line = {"path": call["path"], **who, **({"labels": labels} if labels else {}), "body": call["request"]}
    if isinstance(body, dict):
        line["headers"] = {"Content-Type": "application/json"}
    return orjson.dumps(line)
