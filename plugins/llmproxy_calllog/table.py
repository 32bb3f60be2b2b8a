"""A record as a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def row(call: Mapping[str, Any]) -> str:
    """Return a record as one line: when, who, what, how it ended, how long it took, what it used and cost."""
    when = datetime.fromtimestamp(call["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    who = "/".join(filter(None, (call["tenant"], call["key"])))
    ending = " ".join(filter(None, (call["result"], call["error"])))
    cells = (
        when,
        str(call["status"] or "-").rjust(3),
        f"{call['ms'] / 1000:8.3f}s",
        who.ljust(20),
        (call["model"] or call["route"]).ljust(20),
        (call["upstream"] or call["answered_by"] or "-").ljust(12),
        tokens(call).ljust(12),
        money(call).rjust(10),
        (f"x{call['tries']}" if call["tries"] > 1 else "").ljust(3),
        ending.ljust(12),
        call["id"],
    )
    return printable("  ".join(cells))


def tokens(call: Mapping[str, Any]) -> str:
    """Return the tokens read and written."""
    if call["input"] is None:
        return "-"
    read = call["input"] + (call["cache_read"] or 0) + (call["cache_write"] or 0)
    return f"{read}>{(call['output'] or 0) + (call['reasoning'] or 0)}"


def money(call: Mapping[str, Any]) -> str:
    """Return the cost in dollars."""
    return "-" if call["cost"] is None else f"${call['cost'] / 1_000_000:.6f}"


def printable(text: str) -> str:
    """Return text that does nothing to a terminal."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)
