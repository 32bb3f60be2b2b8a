"""What a version of an API says of its end: Deprecation (RFC 9745), Sunset (RFC 8594), and where to go."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

#: Characters that would end a link's target, or the field.
_UNFIT: Final = re.compile(r"[^!-~]|[<>\"\\^`{|}]")


def read_time(text: str) -> datetime:
    """Read `2026-07-01` or `2026-07-01T12:00:00Z`; UTC where no zone is written.

    Raises:
        ValueError: it is no time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date such as 2026-07-01 or 2026-07-01T12:00:00Z") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def check_link(text: str) -> None:
    """Raise ValueError for what cannot be the target of a link."""
    if not text or _UNFIT.search(text):
        raise ValueError(f"{text!r} is no URL or path")


def deprecation_fields(
    since: str = "", sunset: str = "", link: str = "", successor: str = ""
) -> list[tuple[str, str]]:
    """Return the header fields of a deprecated version; empty texts leave theirs out."""
    fields = []
    if since:
        fields.append(("Deprecation", f"@{int(read_time(since).timestamp())}"))
    if sunset:
        fields.append(("Sunset", format_datetime(read_time(sunset).astimezone(UTC), usegmt=True)))
    if link:
        fields.append(("Link", f'<{link}>; rel="deprecation"'))
    if successor:
        fields.append(("Link", f'<{successor}>; rel="successor-version"'))
    return fields
