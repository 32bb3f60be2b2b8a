"""What the store knows of one idempotency key. Pure."""

from __future__ import annotations

from enum import IntEnum

import msgspec

_FORMAT = 1


class BadRecord(ValueError):
    """The bytes are no record, or one of another version."""


class State(IntEnum):
    """How far the request came."""

    FREE = 0  # nothing was executed: whoever comes next may
    CLAIMED = 1  # somebody is about to; certainly nothing has been sent
    SENT = 2  # it may have reached the upstream
    KEPT = 3  # the upstream's answer is here
    DROPPED = 4  # the upstream answered, and its answer could not be kept
    UNKNOWN = 5  # it was sent, and nobody will ever know what became of it


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One key's state; `owner` is the worker that has it, `nonce` this claim's own.

    `began` is in seconds since 1970. An answer's body stands in `body`, or `apart` under a key of its own.
    """

    format: int
    state: State
    fingerprint: bytes
    owner: str
    nonce: bytes
    began: int
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    apart: bool = False
    reason: str = ""

    @classmethod
    def claimed(cls, fingerprint: bytes, owner: str, nonce: bytes, began: float) -> Record:
        """Make the record of a claim."""
        return cls(_FORMAT, State.CLAIMED, fingerprint, owner, nonce, int(began))

    def sent(self) -> Record:
        """Return it from the moment on when the request may leave."""
        return msgspec.structs.replace(self, state=State.SENT)

    def free(self) -> Record:
        """Return it after an end before anything was executed."""
        return msgspec.structs.replace(self, state=State.FREE)

    def unknown(self, reason: str) -> Record:
        """Return it when the outcome is lost."""
        return msgspec.structs.replace(self, state=State.UNKNOWN, reason=reason)

    def kept(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes, *, apart: bool
    ) -> Record:
        """Return it with the upstream's answer."""
        held = b"" if apart else body
        return msgspec.structs.replace(
            self, state=State.KEPT, status=status, headers=headers, body=held, apart=apart
        )

    def dropped(self, status: int, reason: str) -> Record:
        """Return it when the answer is known to exist and cannot be had again."""
        return msgspec.structs.replace(
            self, state=State.DROPPED, status=status, headers=(), body=b"", apart=False, reason=reason
        )

    def pack(self) -> bytes:
        """Return it as the store keeps it."""
        return _encode(self)

    @classmethod
    def unpack(cls, data: bytes) -> Record:
        """Read what `pack` wrote; raise `BadRecord`."""
        try:
            record = _decode(data)
        except msgspec.DecodeError as fault:
            raise BadRecord("not a record") from fault
        if record.format != _FORMAT:
            raise BadRecord("a record of another version")
        return record


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
