from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.directives import (
    FOREVER,
    RequestControl,
    ResponseControl,
    request_control,
    response_control,
    targeted_control,
)


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        (b"max-age=3600", 3600),
        (b"MAX-AGE=3600", 3600),
        (b"max-age=003600", 3600),
        (b'max-age="3600"', 3600),
        (b"max-age=2147483649", FOREVER),
        (b"max-age=99999999999999999999999", FOREVER),
        (b"max-age=00000000000000000000007", 7),
        (b"max-age=1800, max-age=1", 1),
        (b"max-age=1, max-age=1800", 1),
        (b"public, max-age=1, foo", 1),
        (b'extension="max-age=3600", max-age=1', 1),
        (b'max-age=1, extension="max-age=3600"', 1),
        (b'x="a\\"b, max-age=7", max-age=1', 1),
        (b"foo, bar", None),
        (b"xmax-age=3600", None),
    ],
)
def test_the_lifetime_is_read(text: bytes, lifetime: int | None) -> None:
    assert response_control(text).max_age == lifetime


@pytest.mark.parametrize(
    "text",
    [
        b"max-age=3600.0",
        b"max-age=a100",
        b"max-age=100a",
        b"max-age='100'",
        b"max-age =100",
        b"max-age= 100",
        b"max-age",
        b"max-age=-1",
    ],
)
def test_a_lifetime_that_cannot_be_read_is_none_at_all(text: bytes) -> None:
    assert response_control(text).max_age == 0


def test_what_is_badly_written_forbids_and_never_allows() -> None:
    control = response_control(b"no-store =x, must-revalidate=(, public=(, must-understand= 1")

    assert control.no_store
    assert control.must_revalidate
    assert not control.public
    assert not control.must_understand


def test_a_quote_that_nobody_closes_makes_the_answer_one_to_ask_about() -> None:
    assert response_control(b'max-age=60, x="foo').no_cache


def test_what_stands_behind_such_a_quote_forbids_still() -> None:
    control = response_control(b'max-age=60, x="foo, no-store')

    assert control.no_store
    assert control.no_cache


def test_a_quote_that_nobody_closes_is_looked_for_once() -> None:
    # A caller's field: 16 KiB of it held a worker up for 1.6 s; this much would never end.
    assert request_control(b'"' + b'\\"' * (1 << 20)).no_cache


def test_no_cache_may_name_fields_alone() -> None:
    assert response_control(b'no-cache="A, b", no-cache=c') == ResponseControl(
        no_cache_fields=(b"a", b"b", b"c")
    )
    assert response_control(b'no-cache="a", no-cache').no_cache
    assert response_control(b'no-cache=""').no_cache


def test_private_with_fields_is_private() -> None:
    assert response_control(b'private="set-cookie"').private


def test_a_request_is_read() -> None:
    assert request_control(b"max-stale, min-fresh=5, max-age=0") == RequestControl(
        max_stale=FOREVER, min_fresh=5, max_age=0
    )
    assert request_control(b"max-stale=7, no-cache, no-store, only-if-cached") == RequestControl(
        max_stale=7, no_cache=True, no_store=True, only_if_cached=True
    )
    assert request_control(b"nothing-to-see-here") == RequestControl()
    assert request_control(None) == RequestControl()


@pytest.mark.parametrize(
    ("text", "control"),
    [
        (b"max-age=10", ResponseControl(targeted=True, max_age=10)),
        (b"max-age=10, no-store", ResponseControl(targeted=True, max_age=10, no_store=True)),
        (b"no-store=?0", ResponseControl(targeted=True)),
        (b'max-age="10"', ResponseControl(targeted=True)),
        (b"max-age=1.5", ResponseControl(targeted=True)),
        (b"max-age", ResponseControl(targeted=True)),
        (b"max-age=-5", ResponseControl(targeted=True, max_age=0)),
        (b"max-age=999999999999999", ResponseControl(targeted=True, max_age=FOREVER)),
        (b'no-cache="a"', ResponseControl(targeted=True, no_cache_fields=(b"a",))),
        (b"private", ResponseControl(targeted=True, private=True)),
    ],
)
def test_a_targeted_field_is_read(text: bytes, control: ResponseControl) -> None:
    assert targeted_control(text) == control


@pytest.mark.parametrize("text", [b"", b"MaX-aGe=3600", b"max-age =10", b"max-age=10, &&&&&", b"max-age=1,"])
def test_a_targeted_field_that_is_no_dictionary_says_nothing(text: bytes) -> None:
    assert targeted_control(text) is None


_TOKENS = st.from_regex(rb"\A[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}\Z")
_QUOTED = st.binary(max_size=12).map(lambda raw: b'"%b"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))


@given(st.lists(st.tuples(_TOKENS, _TOKENS | _QUOTED), max_size=4), st.integers(0, FOREVER), st.randoms())
def test_extensions_change_nothing(
    extensions: list[tuple[bytes, bytes]], lifetime: int, random: object
) -> None:
    pieces = [b"x-%b=%b" % pair for pair in extensions] + [b"max-age=%d" % lifetime]
    random.shuffle(pieces)  # type: ignore[attr-defined]

    assert response_control(b", ".join(pieces)) == ResponseControl(max_age=lifetime)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(text: bytes) -> None:
    control = response_control(text)

    assert control.max_age is None or 0 <= control.max_age <= FOREVER
    assert request_control(text) is not None
