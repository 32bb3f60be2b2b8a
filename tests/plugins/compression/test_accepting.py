from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_compression import accepting
from llmproxy_compression.accepting import Choice, read_weights

ALL = ("zstd", "br", "gzip")


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        (None, None),
        (b"", None),
        (b"gzip", "gzip"),
        (b"GZIP", "gzip"),
        (b"x-gzip", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip;q=1.0, br;q=0.5", "gzip"),
        (b"gzip; q=0.2 , br ;q=0.9", "br"),
        (b"*", "zstd"),
        (b"*;q=0.1, gzip", "gzip"),
        (b"zstd;q=0, *", "br"),
        (b"gzip;q=0", None),
        (b"*;q=0", None),
        (b"identity", None),
        (b"identity, gzip", "gzip"),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"identity;q=0, gzip;q=0.1", "gzip"),
        (b"deflate", None),
        (b"gzip;q=2, br", "br"),
        (b"gzip;level=9", None),
        (b",, gzip ,", "gzip"),
    ],
)
def test_the_best_that_a_caller_takes_is_chosen(field: bytes | None, coding: str | None) -> None:
    choice = Choice(ALL)

    assert [choice.of(field), choice.of(field)] == [coding, coding]


def test_the_configurations_order_decides_between_equals() -> None:
    assert Choice(("gzip", "br")).of(b"br, gzip") == "gzip"


def test_fields_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "_REMEMBERED", 2)
    choice = Choice(ALL)
    for field in (b"gzip", b"br", b"zstd", b"gzip;q=0." + b"0" * 300):
        choice.of(field)

    assert set(choice._known) == {b"gzip", b"br"}


@given(st.text(alphabet="gzip,;q=0.159* br\tidentity", max_size=40))
def test_any_field_is_read(field: str) -> None:
    assert all(0 <= weight <= 1 for weight in read_weights(field).values())
    assert Choice(ALL).of(field.encode()) in (*ALL, None)
