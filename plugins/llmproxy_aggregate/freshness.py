"""How long a merged answer may be kept: no longer than the shortest-lived of what it is made of (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from llmproxy.plugin import Headers

_DIRECTIVE: Final = re.compile(r'\s*([A-Za-z-]+)(?:=(?:"([^"]*)"|([^,\s]*)))?\s*(?:,|$)')


class Lifetime(NamedTuple):
    """What an answer says of itself; None where it says nothing."""

    seconds: int | None = None
    shared: int | None = None
    private: bool = False
    storable: bool = True
    checked: bool = False


def lifetime(headers: Headers) -> Lifetime:
    """Read what an answer says of its life, less the age that it has already.

    One that sets a cookie is its caller's; one that varies with everything is for one request alone.
    """
    found: dict[str, str] = {}
    for line in headers.get_all("cache-control"):
        for match in _DIRECTIVE.finditer(line):
            found.setdefault(match[1].lower(), match[2] or match[3] or "")
    age = _number(headers.get("age")) or 0
    seconds, shared = _number(found.get("max-age")), _number(found.get("s-maxage"))
    if seconds is None and headers.has(b"expires"):
        seconds = _until_expiry(headers)
    any_request = any("*" in line for line in headers.get_all("vary"))
    old = not headers.has(b"cache-control") and "no-cache" in (headers.get("pragma") or "").lower()
    return Lifetime(
        None if seconds is None else max(seconds - age, 0),
        None if shared is None else max(shared - age, 0),
        "private" in found or headers.has(b"set-cookie"),
        "no-store" not in found and not any_request,
        "no-cache" in found or old,
    )


def _until_expiry(headers: Headers) -> int:
    """Return the seconds from Date to Expires; what cannot be read has expired (RFC 9111 §5.3)."""
    times = [_time(headers.get(name)) for name in ("date", "expires")]
    made, ends = times[0] or datetime.now(UTC), times[1]
    return 0 if ends is None else int((ends - made).total_seconds())


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def combined(answers: Iterable[Headers], *, personal: bool = False) -> str:
    """Return the Cache-Control of what is made of these answers; empty if one of them leaves it open.

    What is `personal` is one caller's, whatever they say.
    """
    all_of_them = [lifetime(each) for each in answers]
    if not all(each.storable for each in all_of_them):
        return "no-store"
    private = personal or any(each.private for each in all_of_them)
    words = ["private"] if private else []
    if any(each.checked for each in all_of_them):
        return ", ".join([*words, "no-cache"])
    ages = [each.seconds for each in all_of_them]
    shared = [each.seconds if each.shared is None else each.shared for each in all_of_them]
    if ages and None not in ages:
        words.append(f"max-age={_least(ages)}")
    if not private and any(each.shared is not None for each in all_of_them):
        words += [f"s-maxage={_least(shared)}"] if None not in shared else []
    return ", ".join(words)


def _least(numbers: Iterable[int | None]) -> int:
    return min(number for number in numbers if number is not None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
