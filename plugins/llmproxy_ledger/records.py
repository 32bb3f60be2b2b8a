"""What a journal holds, and how it is framed: length, checksum, record. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from llmproxy.plugin import Rates, Settlement

_HEAD: Final = Struct("<II")
#: The longest record; a row is a few hundred bytes, and what claims to be more is no record.
MOST: Final = 1 << 20


class Intent(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """A call that is about to leave: what its row is made of if nothing more is heard of it.

    `size` is the request's bytes, `most` the output tokens that it may have, `prices` what it is priced by.
    """

    entry: str
    row: Settlement
    size: int
    most: int


class Row(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """A call that has ended. `basis` says what its usage rests on: told, seen, ceiling, hit, follower, none."""

    entry: str
    row: Settlement
    basis: str


class PriceList(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """The rates that a version of prices stands for."""

    version: str
    rates: tuple[Rates, ...]


class Whose(NamedTuple):
    """Whose a call is and where it goes."""

    tenant: str
    key: str
    org: str
    team: str
    user: str
    route: str
    model: str
    upstream: str
    upstream_model: str


class Begun(msgspec.Struct, frozen=True, array_like=True, tag="b", gc=False):
    """An intent as it is written while calls come: what calls have in common is made once."""

    entry: str
    id: str
    exchange: str
    at: float
    whose: Whose
    prices: str
    reserved: int
    size: int
    most: int

    @property
    def intent(self) -> Intent:
        """Return it as others are."""
        told = Settlement(
            id=self.id,
            exchange=self.exchange,
            at=self.at,
            prices=self.prices,
            reserved=self.reserved,
            **self.whose._asdict(),
        )
        return Intent(self.entry, told, self.size, self.most)


class Written(msgspec.Struct, frozen=True, array_like=True, tag="w", gc=False):
    """A row as it is written while calls come: as it stands in the database, column by column."""

    values: tuple[Any, ...]

    @property
    def entry(self) -> str:
        """Return its name."""
        return self.values[0]  # type: ignore[no-any-return]  # as `COLUMNS` says


Record = Intent | Row | PriceList | Begun | Written

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)


def frame(record: Record) -> bytes:
    """Return a record as it stands in a journal."""
    payload = _encoder.encode(record)
    return _HEAD.pack(len(payload), crc32(payload)) + payload


class Reading(NamedTuple):
    """One record and where the next begins."""

    record: Record
    end: int


def read(data: bytes, at: int = 0) -> Iterator[Reading]:
    """Yield the whole records from `at` on, up to the first that is cut or broken."""
    for payload, end in _payloads(data, at):
        try:
            record = _decoder.decode(payload)
        except msgspec.DecodeError:
            return
        yield Reading(record, end)


def _payloads(data: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    while at + _HEAD.size <= len(data):
        size, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + size
        if not size or size > MOST or end > len(data):
            return
        payload = data[at + _HEAD.size : end]
        if crc32(payload) != checksum:
            return
        yield payload, end
        at = end
