from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.parts import Part, differences, field_name, nearest, part_of

SALT = "acme"


@pytest.mark.parametrize(("value", "shown"), [(0.2, "0.2"), (True, "true"), (None, "null"), ("", '""')])
def test_numbers_and_switches_are_shown(value: Any, shown: str) -> None:
    assert part_of("x", value, SALT).shown == shown


@given(st.text(min_size=1, alphabet="xyzXYZ ÄÖ\n\t一"))
def test_texts_are_not(text: str) -> None:
    part = part_of("x", {"content": text}, SALT)

    assert part.shown == ""
    assert set(part.digest + part.loose) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        ("a b", "a  b", "blanks or case"),
        ("a b", "A\n\tb ", "blanks or case"),
        ({"content": "a b"}, {"content": "ab"}, "blanks or case"),
        ("a b", "a c", ""),
        (1, 2, ""),
    ],
)
def test_a_difference_in_blanks_is_told_as_one(here: Any, there: Any, why: str) -> None:
    (found,) = differences([part_of("x", here, SALT)], [part_of("x", there, SALT)])

    assert found.why == why


def test_what_only_one_of_them_has_is_told() -> None:
    found = differences(
        [part_of("a", 1, SALT), part_of("b", 2, SALT)], [part_of("a", 1, SALT), part_of("c", 3, SALT)]
    )

    assert [(each.name, each.here, each.there, each.why) for each in found] == [
        ("b", "2", "", "only here"),
        ("c", "", "3", "only there"),
    ]


def test_equal_values_of_two_tenants_look_different() -> None:
    assert part_of("x", "text", "us").digest != part_of("x", "text", "them").digest


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "x-y", "_a1"])
def test_a_name_that_reads_as_one_is_told(name: str) -> None:
    assert field_name(name, SALT) == name


@pytest.mark.parametrize("name", ["", "the launch code", "a.b", "ключ", "x" * 41, "1a"])
def test_any_other_is_a_digest(name: str) -> None:
    told = field_name(name, SALT)

    assert told.startswith("#")
    assert len(told) == 17


def test_the_key_that_differs_least_is_nearest() -> None:
    here = [Part("a", "1"), Part("b", "2"), Part("c", "3")]
    far, near = (
        [Part("a", "0"), Part("b", "0"), Part("c", "3")],
        [Part("a", "1"), Part("b", "0"), Part("c", "3")],
    )

    assert [each.name for each in nearest(here, [far, near]) or ()] == ["b"]
    assert nearest(here, []) is None
