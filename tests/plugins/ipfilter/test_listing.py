from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_ipfilter import listing
from llmproxy_ipfilter.listing import BadList, read_list
from llmproxy_ipfilter.networks import read_network


def test_a_list_is_read_without_its_comments() -> None:
    data = b"# denied\r\n10.0.0.0/8 # all\n\n  2001:db8::1\n"

    assert read_list(data) == [read_network("10.0.0.0/8"), read_network("2001:db8::1")]
    assert read_list(b"") == []


@pytest.mark.parametrize("data", [b"10.0.0.0/8\nx", b"a\n10.0.0.1/8", b"\xff", b"10.0.0.0/8 10.0.0.1"])
def test_a_broken_line_is_told_by_its_number(data: bytes) -> None:
    with pytest.raises(BadList, match=r"line [12] is no network"):
        read_list(data)


def test_a_file_that_is_too_large_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LONGEST", 3)

    with pytest.raises(BadList, match="larger than 3"):
        read_list(b"1.2.3.4")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_list_or_a_bad_one(data: bytes) -> None:
    with contextlib.suppress(BadList):
        read_list(data)
