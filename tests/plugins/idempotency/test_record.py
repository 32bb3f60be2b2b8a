from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_idempotency.record import BadRecord, Record, State

FRESH = Record.claimed(b"print", "host.1.abc", b"nonce", 1_700_000_000.5)
fields = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=6).map(tuple)


@given(st.integers(200, 599), fields, st.binary(max_size=200), st.booleans())
def test_an_answer_comes_back_as_it_was_kept(
    status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes, apart: bool
) -> None:
    kept = FRESH.sent().kept(status, headers, body, apart=apart)

    assert Record.unpack(kept.pack()) == kept
    assert (kept.state, kept.status, kept.headers) == (State.KEPT, status, headers)
    assert kept.body == (b"" if apart else body)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (FRESH, State.CLAIMED),
        (FRESH.sent(), State.SENT),
        (FRESH.free(), State.FREE),
        (FRESH.unknown("upstream_reset"), State.UNKNOWN),
        (FRESH.dropped(201, "too_large"), State.DROPPED),
    ],
)
def test_every_state_comes_back_with_its_owner(record: Record, state: State) -> None:
    read = Record.unpack(record.pack())

    assert read.state == state
    assert (read.fingerprint, read.owner, read.nonce) == (b"print", "host.1.abc", b"nonce")


def test_what_is_dropped_holds_no_answer() -> None:
    dropped = FRESH.kept(201, ((b"A", b"b"),), b"body", apart=False).dropped(201, "store_refused")

    assert (dropped.status, dropped.headers, dropped.body) == (201, (), b"")


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadRecord):
        Record.unpack(data)


@given(st.integers(0, 200))
def test_a_record_cut_short_is_refused(end: int) -> None:
    whole = FRESH.kept(200, ((b"Content-Type", b"text/plain"),), b"x" * 60, apart=False).pack()

    if end < len(whole):
        with pytest.raises(BadRecord):
            Record.unpack(whole[:end])


def test_a_record_of_another_version_is_refused() -> None:
    packed = bytearray(FRESH.pack())
    packed[1] = 99

    with pytest.raises(BadRecord, match="version"):
        Record.unpack(bytes(packed))
