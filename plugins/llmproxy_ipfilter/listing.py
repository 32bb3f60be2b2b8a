"""Lists of networks in files: one a line, `#` begins a comment."""

from __future__ import annotations

from typing import Final

from llmproxy_ipfilter.networks import Interval, read_network

#: Bytes that a list may have: a million networks or so.
LONGEST: Final = 32 * 1024 * 1024


class BadList(ValueError):
    """A file is no list of networks."""


def read_list(data: bytes) -> list[Interval]:
    """Read a list.

    Raises:
        BadList: a line is no network; the text says which.
    """
    if len(data) > LONGEST:
        raise BadList(f"larger than {LONGEST} bytes")
    found: list[Interval] = []
    for number, line in enumerate(data.splitlines(), 1):
        text = line.partition(b"#")[0].strip()
        if text:
            try:
                found.append(read_network(text.decode("ascii")))
            except ValueError:
                raise BadList(f"line {number} is no network such as 10.0.0.0/8") from None
    return found
