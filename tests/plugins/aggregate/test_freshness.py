from __future__ import annotations

import pytest

from llmproxy.plugin import Headers
from llmproxy_aggregate.freshness import combined


def said(*controls, age=None):
    return [
        Headers.of({**({"Cache-Control": each} if each else {}), **({"Age": age} if age else {})})
        for each in controls
    ]


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        (["max-age=60", "public, max-age=30"], "max-age=30"),
        (["max-age=60", ""], ""),
        (["max-age=60", "no-store"], "no-store"),
        (["max-age=60", "private, max-age=90"], "private, max-age=60"),
        (["max-age=60", "no-cache"], "no-cache"),
        (["private", "no-cache"], "private, no-cache"),
        (["max-age=60, s-maxage=10", "max-age=20"], "max-age=20, s-maxage=10"),
        (["s-maxage=10", "max-age=20"], "s-maxage=10"),
        (["max-age=60, s-maxage=10", "private, max-age=5"], "private, max-age=5"),
        (['Max-Age="15", ext="a, no-store"'], "max-age=15"),
        (["max-age=-1", "max-age=5"], ""),
        ([], ""),
    ],
)
def test_the_shortest_lived_part_decides(controls, expected):
    assert combined(said(*controls)) == expected


def test_the_age_that_a_part_has_counts():
    assert combined(said("max-age=60", age="45")) == "max-age=15"
    assert combined(said("max-age=60", age="75")) == "max-age=0"


def test_what_is_personal_is_private():
    assert combined(said("max-age=60, s-maxage=9"), personal=True) == "private, max-age=60"
    assert combined(said(""), personal=True) == "private"
    assert combined(said("no-store"), personal=True) == "no-store"


DATE = "Sun, 06 Nov 1994 08:49:00 GMT"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Expires": "0"}, "max-age=0"),
        ({"Expires": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": DATE}, "max-age=37"),
        ({"Expires": "Sun, 06 Nov 1994 08:49:37 GMT"}, "max-age=0"),
        ({"Expires": "Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control": "max-age=5"}, "max-age=5"),
        ({"Expires": "Sun, 06 Nov 99999999999 08:49:37 GMT", "Date": DATE}, "max-age=0"),
        ({"Pragma": "no-cache"}, "no-cache"),
        ({"Pragma": "no-cache", "Cache-Control": "max-age=5"}, "max-age=5"),
        ({"Set-Cookie": "a=b"}, "private"),
        ({"Set-Cookie": "a=b", "Cache-Control": "max-age=5, s-maxage=9"}, "private, max-age=5"),
        ({"Vary": "Accept, *"}, "no-store"),
        ({"Vary": "Accept"}, ""),
    ],
)
def test_what_an_answer_says_otherwise_counts_too(fields, expected):
    assert combined([Headers.of(fields)]) == expected
