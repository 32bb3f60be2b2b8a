from __future__ import annotations

import pytest

from llmproxy_rewrite.deprecation import check_link, deprecation_fields, read_time


def test_a_version_says_since_when_and_until_when_and_where_to_go() -> None:
    fields = deprecation_fields("2026-07-01", "2027-01-01T12:00:00+02:00", "https://docs.example/v1", "/v2")

    assert fields == [
        ("Deprecation", "@1782864000"),
        ("Sunset", "Fri, 01 Jan 2027 10:00:00 GMT"),
        ("Link", '<https://docs.example/v1>; rel="deprecation"'),
        ("Link", '</v2>; rel="successor-version"'),
    ]


def test_what_is_not_known_is_not_said() -> None:
    assert deprecation_fields(sunset="2027-01-01") == [("Sunset", "Fri, 01 Jan 2027 00:00:00 GMT")]
    assert deprecation_fields() == []


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_time("2026-07-01") == read_time("2026-07-01T00:00:00Z")


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "01.07.2026"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no date"):
        read_time(text)


@pytest.mark.parametrize("text", ["", "a b", "/v2>; rel=x", "/v2\r\nX: 1", '/"'])
def test_what_is_no_link_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no URL"):
        check_link(text)
