from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores import StoreUrl
from llmproxy.stores.urls import at_least
from llmproxy.units import parse_size


def test_every_piece_is_read() -> None:
    url = StoreUrl.parse("rediss://us%40er:p%2Fw@Cache.example:7000/2?prefix=a%20b&timeout=80ms")

    assert (url.scheme, url.host, url.port, url.path) == ("rediss", "Cache.example", 7000, "/2")
    assert (url.username, url.password) == ("us@er", "p/w")
    assert url.options == {"prefix": "a b", "timeout": "80ms"}


@pytest.mark.parametrize("text", ["memory:", "memory://", "memory://?"])
def test_a_scheme_alone_is_enough(text: str) -> None:
    assert StoreUrl.parse(text) == StoreUrl("memory")


def test_an_ipv6_host_loses_its_brackets() -> None:
    assert StoreUrl.parse("redis://[::1]:6379/0").host == "::1"


def test_neither_text_nor_repr_shows_a_secret() -> None:
    url = StoreUrl.parse("redis://user:hunter2@host:6379/0?prefix=hunter3")

    assert str(url) == "redis://host:6379/0"
    assert "hunter" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "/no/scheme?hunter2",
        "redis://user:hunter2@host:port/0",
        "redis://user:hunter2/@host",
        "redis://user:hunter2@[host/0",
        "redis://user:hunter2@host/0#fragment",
        "redis://user:hunter2@host?prefix",
    ],
)
def test_a_malformed_url_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a store URL") as refusal:
        StoreUrl.parse(text)

    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert str(StoreUrl.parse(text)).startswith(text.partition(":")[0].strip().lower()[:1])


def test_options_go_through_their_readers() -> None:
    url = StoreUrl.parse("memory://?max_bytes=2KiB")

    assert url.read(max_bytes=parse_size, other=int) == {"max_bytes": 2048}


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(
        ValueError, match='unknown option "max_byte" of store memory://; did you mean "max_bytes"'
    ):
        StoreUrl.parse("memory://?max_byte=1").read(max_bytes=parse_size)


def test_an_option_like_no_other_lists_what_is_known() -> None:
    with pytest.raises(ValueError, match="known: max_bytes"):
        StoreUrl.parse("memory://?zzz=1").read(max_bytes=parse_size)


def test_a_bad_value_names_its_option() -> None:
    with pytest.raises(ValueError, match='option "max_bytes" of store memory://: "much" is not a size'):
        StoreUrl.parse("memory://?max_bytes=much").read(max_bytes=parse_size)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match='"a" is given twice'):
        StoreUrl.parse("memory://?a=1&b=2&a=3")


def test_parts_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="memory:// store takes no host"):
        StoreUrl.parse("memory://host").refuse_parts("path", "host")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "²", ""])
def test_a_count_is_a_whole_number_from_its_least_up(text: str) -> None:
    with pytest.raises(ValueError, match="whole number from 1 up"):
        at_least(1)(text)

    assert at_least(1)("12") == 12
