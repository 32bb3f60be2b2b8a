from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.vary import members, normalised, preferred_language, selecting, selection


@pytest.mark.parametrize(
    "lines",
    [(b"*",), (b"*, *",), (b"*", b"*"), (b", *",), (b"Foo, *",), (b"*, Foo",), (b"", b"*"), (b"Foo", b"*")],
)
def test_a_star_anywhere_matches_no_request(lines: tuple[bytes, ...]) -> None:
    assert selecting(Fields([(b"Vary", line) for line in lines])) is None


@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"traceparent", b"x-request-id"])
def test_what_the_gateway_writes_is_in_no_request_that_it_gets(name: bytes) -> None:
    assert selecting(Fields([(b"Vary", b"Accept, " + name)])) is None


def test_names_are_gathered_in_any_case_and_order() -> None:
    assert selecting(Fields([(b"Vary", b"Foo, bar"), (b"vary", b"FOO")])) == (b"bar", b"foo")
    assert selecting(Fields([])) == ()


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (b"foo", b"1,2", b" 1, 2 "),
        (b"accept-language", b"en, de", b"de, en"),
        (b"accept-language", b"en, de", b"eN, De"),
        (b"accept-language", b"en, de", b" en ,   de"),
        (b"accept-language", b"en;q=0.5", b"EN ; Q=0.50"),
        (b"accept-encoding", b"gzip, br", b"br,gzip"),
    ],
)
def test_values_of_one_meaning_are_one(name: bytes, one: bytes, other: bytes) -> None:
    assert normalised(name, one) == normalised(name, other)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (b"foo", b"1, 2", b"2, 1"),
        (b"foo", b"a", b"A"),
        (b"foo", b'"a, b"', b'"a,b"'),
        (b"foo", b"", None),
        (b"accept-language", b"en;q=0.5, de", b"en, de;q=0.5"),
        (b"accept-language", b"en", b"en;q=0"),
    ],
)
def test_values_of_two_meanings_are_two(name: bytes, one: bytes, other: bytes | None) -> None:
    assert normalised(name, one) != normalised(name, other)


def test_a_quote_that_nobody_closes_is_looked_for_once() -> None:
    # A caller's field: 16 KiB of it held a worker up for 0.7 s; this much would never end.
    value = b'"' + b'\\"' * (1 << 20)

    assert members(b"a, " + value) == [b"a", value]
    assert normalised(b"x-host", value) == value
    assert members(b'a, "b, c\\') == [b"a", b'"b, c\\']


def test_lines_are_joined() -> None:
    one = Fields([(b"Foo", b"1, 2")])
    other = Fields([(b"foo", b"1"), (b"Foo", b"2")])

    assert selection((b"foo",), one) == selection((b"foo",), other)


def test_fields_that_do_not_select_do_not_matter() -> None:
    assert selection((b"a",), Fields([(b"a", b"1"), (b"b", b"2")])) == selection(
        (b"a",), Fields([(b"a", b"1")])
    )


_VALUES = st.none() | st.binary(max_size=6)


@given(st.tuples(_VALUES, _VALUES), st.tuples(_VALUES, _VALUES))
def test_one_selection_is_one_meaning(
    one: tuple[bytes | None, bytes | None], other: tuple[bytes | None, bytes | None]
) -> None:
    names = (b"a", b"b")
    first, second = (
        Fields([(name, value) for name, value in zip(names, values, strict=True) if value is not None])
        for values in (one, other)
    )
    alike = all(
        normalised(name, mine) == normalised(name, theirs)
        for name, mine, theirs in zip(names, one, other, strict=True)
    )

    assert (selection(names, first) == selection(names, second)) is alike


@pytest.mark.parametrize(
    ("value", "language"),
    [
        (b"fr;q=0.5, de;q=1.0", b"de"),
        (b"de", b"de"),
        (b"en, de", None),
        (b"*", None),
        (b"de;q=0", None),
        (b"", None),
    ],
)
def test_the_preferred_language_is_the_one_of_most_weight(value: bytes, language: bytes | None) -> None:
    assert preferred_language(Fields([(b"Accept-Language", value)])) == language
