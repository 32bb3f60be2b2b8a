"""A provider's error, without the keys of this gateway: some repeat the credentials that they refuse.

A mask is as long as what it hides, so that lengths which were announced stay true. Errors are rare: what is looked for
in them costs answers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body
from llmproxy.lanes import Lane

if TYPE_CHECKING:
    from llmproxy.messages import Reply

#: Shorter ones may stand in any text.
_SHORTEST: Final = 8


class Masked:
    """A machine that hides secrets in bytes that are cut anywhere."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._any = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what may leave; what could be the beginning of a secret waits for more."""
        data = self.hidden(self._held + data)
        keep = self._begun(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def close(self) -> bytes:
        """Return what waited."""
        held, self._held = self._held, b""
        return held

    def hidden(self, data: bytes) -> bytes:
        """Return bytes with the secrets hidden that are whole in them."""
        return self._any.sub(lambda found: b"*" * len(found.group()), data)

    def _begun(self, data: bytes) -> int:
        """Return how many bytes at the end a secret begins with."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(data)), longest, -1):
                if data.endswith(secret[:length]):
                    longest = length
                    break
        return longest


def secrets_among(values: Sequence[str]) -> tuple[bytes, ...]:
    """Return those of some secrets that can be told from other text."""
    return tuple(value.encode() for value in values if len(value) >= _SHORTEST)


def mask(reply: Reply, secrets: Sequence[bytes]) -> None:
    """Hide secrets in an error's header and body; one that is compressed is nobody's to look into."""
    masked = Masked(secrets)
    for name, value in reply.headers.raw:
        hidden = masked.hidden(value)
        if hidden != value:
            reply.headers.set(name.decode("latin-1"), hidden.decode("latin-1"))
    if reply.headers.index.get(b"content-encoding", b"identity") != b"identity":
        return
    body = reply.body
    reply.body = Lane(body, [masked]) if isinstance(body, Body) else masked.hidden(body)
