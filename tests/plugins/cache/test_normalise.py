"""When two prompt texts mean the same."""

from __future__ import annotations

import re
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import ConfigError
from llmproxy_cache.normalise import PRESETS, Normalisation, Normaliser, Preset, refuse_slow


def text(said: str, config: Normalisation | None = None) -> str:
    return Normaliser(config or Normalisation()).text(said)


def test_outer_space_and_line_ends_mean_nothing_by_default() -> None:
    assert text("  one\r\ntwo\rthree \n") == "one\ntwo\nthree"


def test_inner_space_means_something_by_default() -> None:
    assert text("if x:\n    y") != text("if x:\n  y")


def test_all_space_can_be_one_space() -> None:
    assert text(" a \n\n b\tc ", Normalisation(space="collapse")) == "a b c"


def test_nothing_is_touched_where_the_route_says_so() -> None:
    keep = Normalisation(unicode="keep", space="keep")

    assert text(" e\u0301\r\n", keep) == " e\u0301\r\n"


@given(st.text())
def test_unicode_forms_of_one_text_are_one(said: str) -> None:
    assert text(normalize("NFD", said)) == text(normalize("NFC", said)) == text(said)


@given(st.text(), st.sampled_from(["keep", "trim", "collapse"]))
def test_normalising_twice_changes_nothing_more(said: str, space: str) -> None:
    config = Normalisation(space=space)  # type: ignore[arg-type]

    assert text(text(said, config), config) == text(said, config)


@given(st.text(), st.text())
def test_words_are_never_mixed_up(one: str, other: str) -> None:
    words = [normalize("NFC", each).split() for each in (one, other)]

    assert (text(one) == text(other)) <= (words[0] == words[1])


@pytest.mark.parametrize(
    ("preset", "one", "other"),
    [
        ("iso-dates", "Today is 2024-01-31.", "Today is 2026-12-01."),
        ("times", "It is 9:05 am", "It is 11:30 PM"),
        ("times", "at 09:05:01.123+02:00!", "at 23:59!"),
        ("unix-times", "now=1712345678", "now=1798765432"),
        ("uuids", "id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-0000-0000-0000-000000000000"),
        ("request-ids", "req_abc12345x", "req_zzz99999y"),
        ("request-ids", "Request-ID: 12345678", "Request-ID: 87654321"),
    ],
)
def test_what_is_volatile_is_one_by_rule_only(preset: Preset, one: str, other: str) -> None:
    config = Normalisation(volatile=(preset,))

    assert text(one, config) == text(other, config)
    assert text(one) != text(other)


@pytest.mark.parametrize(
    "said",
    ["Chapter 12: 2024 was wet", "12-2024-01-3", "request information", "0xdeadbeef", "1.1712345678", "3:1"],
)
def test_what_only_looks_volatile_stays(said: str) -> None:
    assert text(said, Normalisation(volatile=tuple(PRESETS))) == said  # type: ignore[arg-type]


def test_the_sign_of_a_replacement_cannot_be_forged() -> None:
    config = Normalisation(volatile=("iso-dates",))
    replaced = text("2024-01-01", config)

    assert text(replaced, config) != replaced


def test_dates_and_times_are_told_apart() -> None:
    config = Normalisation(volatile=("iso-dates", "times"))

    assert text("at 2024-01-01", config) != text("at 12:30", config)


def test_own_patterns_are_volatile_too() -> None:
    config = Normalisation(patterns=(r"build \d{1,8}",))

    assert text("of build 17", config) == text("of build 18", config)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"\w+",
        r".*x",
        r"(ab|cd){1,60}e",
        r".{0,99}.{0,99}x",
        r"(\w{1,8})\1",
        r"(?:a{1,9}){1,9}",
        r"(?:(?:a{1000}){1000}){1000}",
        "(",
        "a?",
        "",
        "x" * 600,
    ],
)
def test_a_pattern_that_could_be_slow_or_is_broken_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Normalisation(patterns=(pattern,))

    assert refused.value.path == "patterns[0]"


@pytest.mark.parametrize("pattern", [r"ticket-\d{1,12}", r"(?:ab|cd){3}", r"v\d\.\d(?:\.\d)?"])
def test_bounded_patterns_pass(pattern: str) -> None:
    refuse_slow(pattern, "here")

    assert re.compile(pattern)


def test_each_setting_is_another_version() -> None:
    configs = [
        Normalisation(),
        Normalisation(unicode="keep"),
        Normalisation(space="collapse"),
        Normalisation(volatile=("uuids",)),
        Normalisation(patterns=("a",)),
        Normalisation(patterns=("b",)),
    ]

    assert len({Normaliser(config).version for config in configs}) == len(configs)
