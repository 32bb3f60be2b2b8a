from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.references import Resolved
from llmproxy.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("100us", 0.0001),
        ("1.5s", 1.5),
        ("5", 5.0),
        (5, 5.0),
        (0.1, 0.1),
    ],
)
def test_a_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1S", "1w", "s1", "٣s", "1s" * 50, None, True, [1]])
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match='is not a duration such as "250ms", "30s" or "1m30s"'):
        parse_duration(text)


@pytest.mark.parametrize("number", [-1, -0.5, float("inf"), float("nan")])
def test_a_number_that_is_no_length_of_time_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="neither negative nor endless"):
        parse_duration(number)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512B", 512),
        ("16KiB", 16384),
        ("64MiB", 67108864),
        ("1MB", 1000000),
        ("2 GB", 2000000000),
        ("1.5KiB", 1536),
        ("1TiB", 2**40),
        ("7", 7),
        (7, 7),
    ],
)
def test_a_size_is_read_as_bytes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "64mib", "1K", "-1B", "1e3B", "٣", 1.5, True, None])
def test_what_is_no_size_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match='is not a size such as "512B", "16KiB" or "64MiB"'):
        parse_size(text)


def test_a_part_of_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"0\.5B" is not a whole number of bytes'):
        parse_size("0.5B")


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        parse_size(-1)


def test_a_message_shows_the_reference_and_not_its_value() -> None:
    with pytest.raises(ValueError, match=r'^"\$\{env:TTL\}" is not a duration') as caught:
        parse_duration(Resolved("sk-secret", "${env:TTL}"))

    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.0001, "0.0001s"),
        (1.5, "1.5s"),
        (60, "1m"),
        (90, "1m30s"),
        (90061, "1d1h1m1s"),
    ],
)
def test_seconds_are_written_with_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1000, "1000B"), (16384, "16KiB"), (2**40, "1TiB")])
def test_bytes_are_written_in_the_largest_unit_that_divides_them(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.floats(min_value=0, max_value=1e9, allow_subnormal=False).filter(lambda s: s == 0 or s > 1e-9))
def test_a_written_duration_reads_back_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=2**60))
def test_a_written_size_reads_back_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size
