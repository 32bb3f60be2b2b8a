import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.messages import Headers
from llmproxy.storedheaders import StoredHeaders, split_fields, wire_fields

PAIRS = [(b"Content-Type", b"application/json"), (b"Date", b"Sun, 22 Nov 2026 14:00:00 GMT"), (b"X-A", b"")]
names = st.from_regex(rb"x-[a-zA-Z0-9-]{1,20}", fullmatch=True)
values = st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0").strip())
pairs = st.lists(st.tuples(names, values), max_size=8)


@given(pairs)
def test_stored_fields_are_those_that_were_kept(kept: list[tuple[bytes, bytes]]) -> None:
    assert split_fields(wire_fields(kept)) == kept


@given(pairs, pairs)
def test_they_are_looked_up_as_any_headers_are(
    kept: list[tuple[bytes, bytes]], added: list[tuple[bytes, bytes]]
) -> None:
    stored, plain = StoredHeaders(wire_fields(kept), added), Headers(kept + added)

    assert stored.index == plain.index
    assert list(stored) == list(plain)
    assert len(stored) == len(plain)


def test_fields_of_one_hop_and_the_length_are_not_kept() -> None:
    raw = [
        *PAIRS,
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content_Length", b"7"),
        (b"Content-Length", b"7"),
    ]

    assert split_fields(wire_fields(raw)) == PAIRS


@pytest.mark.parametrize(
    "change", [lambda h: h.add("X-B", "2"), lambda h: h.set("X-A", "2"), lambda h: h.remove("X-A")]
)
def test_a_change_is_seen_in_every_view_and_reaches_no_other_reply(change) -> None:  # type: ignore[no-untyped-def]
    fields = wire_fields(PAIRS)
    changed, untouched, plain = StoredHeaders(fields), StoredHeaders(fields), Headers(list(PAIRS))
    change(changed)
    change(plain)

    assert changed.raw == plain.raw
    assert changed.index == plain.index
    assert changed.wire is None
    assert untouched.raw == PAIRS
    assert untouched.wire == fields
    assert StoredHeaders(fields).get("x-a") == ""


def test_what_is_only_read_stays_ready_for_the_wire() -> None:
    headers = StoredHeaders(wire_fields(PAIRS), [(b"Age", b"5")])

    assert headers.get("age") == "5"
    assert headers.raw == [*PAIRS, (b"Age", b"5")]
    assert headers.wire == wire_fields(PAIRS) + b"Age: 5\r\n"
    assert "date" in headers.copy()
