"""What a journal holds, and how it is framed: length, checksum, record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple
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


Record = Intent | Row | PriceList

#: A record is an array: its head, the head of a string of one letter, the letter, and the head of the entry's name,
#: which tells its length where that is less than 32.
_LEAST: Final = 4
_ROW: Final = ord("r")
_INTENT: Final = ord("i")
_SHORT: Final = 0xA0
_LONGER: Final = _SHORT + 32
_BEFORE: Final = _SHORT - _LEAST

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
    return _decoded(_payloads(data, at))


def read_outcomes(data: bytes) -> Iterator[Reading]:
    """Yield the whole records, but for those of calls about to leave whose rows are among them."""
    payloads = list(_payloads(data, 0))
    ended = set()
    for payload, _ in payloads:
        if payload[2] == _ROW:
            ended.add(payload[3 : payload[3] - _BEFORE])
    left = []
    for each in payloads:
        payload = each[0]
        if payload[2] == _INTENT:
            head = payload[3]
            if _SHORT <= head < _LONGER and payload[3 : head - _BEFORE] in ended:
                continue
        left.append(each)
    return _decoded(left)


def _payloads(data: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    while at + _HEAD.size <= len(data):
        size, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + size
        if not _LEAST <= size <= MOST or end > len(data):
            return
        payload = data[at + _HEAD.size : end]
        if crc32(payload) != checksum:
            return
        yield payload, end
        at = end


def _decoded(payloads: Iterable[tuple[bytes, int]]) -> Iterator[Reading]:
    for payload, end in payloads:
        try:
            record = _decoder.decode(payload)
        except msgspec.DecodeError:
            return
        yield Reading(record, end)
