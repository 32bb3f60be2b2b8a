import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmproxy.caching.entry import MOST_SLOTS, BadEntry, Entry, Mark
from llmproxy.storedheaders import wire_fields

KEY = b"k1,4=acme4=chat"

names = st.from_regex(rb"[a-zA-Z][a-zA-Z0-9-]{0,20}", fullmatch=True)
values = st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0"))
entries = st.builds(
    lambda status, headers, body, mark, slots, stored, meta: Entry(
        status, wire_fields(headers), body, mark=Mark(*mark), slots=slots, stored=stored, meta=meta
    ),
    st.integers(100, 999),
    st.lists(st.tuples(names, values), max_size=8),
    st.binary(max_size=200),
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.lists(st.integers(0, 2**32 - 1), max_size=12),
    st.integers(0, 2**63),
    st.binary(max_size=50),
)


def seen(entry: Entry) -> tuple[object, ...]:
    return (entry.status, entry.headers, bytes(entry.body), entry.mark, entry.slots, entry.stored, entry.meta)


@given(entries)
def test_what_is_unpacked_is_what_was_packed(entry: Entry) -> None:
    assert seen(Entry.unpack(entry.pack(KEY), KEY)) == seen(entry)


@given(entries, st.data())
def test_no_damaged_byte_is_taken_for_an_answer(entry: Entry, data: st.DataObject) -> None:
    packed = bytearray(entry.pack(KEY))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(BadEntry):
        Entry.unpack(bytes(packed), KEY)


@given(entries, st.data())
def test_no_torn_entry_is_taken_for_an_answer(entry: Entry, data: st.DataObject) -> None:
    packed = entry.pack(KEY)

    with pytest.raises(BadEntry):
        Entry.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))], KEY)
    with pytest.raises(BadEntry):
        Entry.unpack(packed + b"x", KEY)


@given(entries, st.binary(max_size=40), st.binary(max_size=40))
def test_no_whole_entry_of_another_key_is_taken_for_an_answer(entry: Entry, key: bytes, other: bytes) -> None:
    assume(key != other)

    with pytest.raises(BadEntry):
        Entry.unpack(entry.pack(key), other)


def test_the_body_of_an_unpacked_entry_is_a_view_into_the_value() -> None:
    packed = Entry(200, b"", b"hello", mark=Mark(1, 1)).pack(KEY)

    body = Entry.unpack(packed, KEY).body
    assert isinstance(body, memoryview)
    assert body.obj is packed


def test_more_tags_than_can_be_written_are_refused() -> None:
    with pytest.raises(ValueError, match="65535 tags"):
        Entry(200, b"", b"", mark=Mark(1, 1), slots=[0] * (MOST_SLOTS + 1)).pack(KEY)
