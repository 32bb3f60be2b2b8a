from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_demo.directives import MAX_SIZE, BadDirective, Directives, split


@pytest.mark.parametrize(
    ("message", "directives", "text"),
    [
        ("hello", Directives(), "hello"),
        ("", Directives(), ""),
        ("[[fail 503]]", Directives(fail=503), ""),
        ("[[fail 429 7s]] x", Directives(fail=429, retry_after=7.0), "x"),
        ("[[stall 2s]]x", Directives(stall=2.0), "x"),
        ("[[stall 250ms after 3]] x", Directives(stall=0.25, stall_after=3), "x"),
        ("[[cut after 3]] x", Directives(cut_after=3), "x"),
        ("[[slow 1.5ms]] x", Directives(slow=0.0015), "x"),
        ("[[size 10KiB]] x", Directives(size=10240), "x"),
        ("[[size 0B]]", Directives(size=0), ""),
        ("[[tool f]]", Directives(tool="f"), ""),
        (
            '[[tool f {"a": [[1]], "b": "]]"}]] x',
            Directives(tool="f", arguments='{"a": [[1]], "b": "]]"}'),
            "x",
        ),
        ("  [[ slow 1s ]]\n[[cut after 0]]  two ", Directives(slow=1.0, cut_after=0), " two "),
        ("[[slow 1s]] [[slow 2s]] x", Directives(slow=2.0), "x"),
        ("[[Wiki link]] x", Directives(), "[[Wiki link]] x"),
        ("[[failure]]", Directives(), "[[failure]]"),
        ("say [[fail 500]]", Directives(), "say [[fail 500]]"),
        ("[[fail 500]] {not json", Directives(fail=500), "{not json"),
    ],
)
def test_directives_stand_at_the_start(message: str, directives: Directives, text: str) -> None:
    assert split(message) == (directives, text)


@pytest.mark.parametrize(
    ("message", "right"),
    [
        ("[[fail]]", "fail STATUS"),
        ("[[fail 200]]", "400 to 599"),
        ("[[fail 600]]", "400 to 599"),
        ("[[stall 2]]", "stall 2s"),
        ("[[cut 3]]", "cut after 3"),
        ("[[slow fast]]", "slow 50ms"),
        ("[[size 65MiB]]", "at most 64MiB"),
        ("[[size 10]]", "size 10KiB"),
        ("[[tool f {broken]]", "tool NAME"),
        ("[[tool f [1]]]", "tool NAME"),
        ("[[tool a b]]", "tool NAME"),
        ("[[fail 500", "fail STATUS"),
    ],
)
def test_one_that_is_wrong_is_refused_with_the_right_form(message: str, right: str) -> None:
    with pytest.raises(BadDirective, match=right):
        split(message)


words = st.sampled_from(
    [
        "[[",
        "]]",
        "fail",
        "stall",
        "cut",
        "slow",
        "size",
        "tool",
        " ",
        "after",
        "503",
        "2s",
        "{",
        "}",
        '"',
        "x",
    ]
)


@given(st.lists(words, max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_is_split_or_refused(message: str) -> None:
    try:
        directives, text = split(message)
    except BadDirective:
        return

    assert message.endswith(text)
    assert directives.size is None or directives.size <= MAX_SIZE


@given(
    st.integers(400, 599),
    st.integers(0, 5000),
    st.integers(0, 99),
    st.text(st.characters(codec="utf-8", exclude_characters="[")).filter(
        lambda text: not text.startswith(" ")
    ),
)
def test_what_is_written_is_read(status: int, wait: int, place: int, text: str) -> None:
    message = f"[[fail {status}]] [[slow {wait}ms]] [[cut after {place}]] {text}"

    assert split(message) == (Directives(fail=status, slow=wait / 1000, cut_after=place), text)
