from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Foreign, ToolCall
from llmproxy_openai.chat.toolcalls import (
    arguments_text,
    fitting_id,
    is_object,
    made_up_id,
    read_custom,
    signature_of,
    write_call,
    write_custom,
)


@given(st.text(min_size=1, max_size=60))
def test_nine_letters_are_made_of_any_id_and_stay_the_same(name: str) -> None:
    nine = fitting_id(name, nine=True)

    assert len(nine) == 9
    assert set(nine) <= set(string.ascii_letters + string.digits)
    assert fitting_id(nine, nine=True) == nine
    assert fitting_id(name, nine=True) == nine


@given(st.text(max_size=60))
def test_ids_are_kept_unless_they_are_too_long_or_missing(name: str) -> None:
    fitting = fitting_id(name, nine=False)

    assert 0 < len(fitting) <= 40
    assert fitting == name or not 0 < len(name) <= 40


def test_a_made_up_id_depends_on_its_parts_alone() -> None:
    assert made_up_id("a", 1) == made_up_id("a", 1) != made_up_id("a", 2)


@pytest.mark.parametrize(
    ("value", "written"),
    [("", "{}"), (" ", "{}"), (None, "{}"), ({"a": 1}, '{"a":1}'), ('{"a": 1}', '{"a": 1}')],
)
def test_arguments_are_text_whatever_a_server_sent(value: object, written: str) -> None:
    assert arguments_text(value) == written


def test_only_an_object_is_whole() -> None:
    assert is_object("{}")
    assert not any(map(is_object, ["", "[]", '{"a":', "7"]))


@pytest.mark.parametrize(
    "item", [{}, {"extra_content": 1}, {"extra_content": {"google": {}}}, {"extra_content": {"google": 5}}]
)
def test_a_signature_that_is_not_there_is_none(item: dict[str, object]) -> None:
    assert signature_of(item) == ""


def test_geminis_signature_travels_with_its_call() -> None:
    written = write_call(ToolCall("c1", "look", '{"a":1}', "AbC="), name="c2")

    assert written["id"] == "c2"
    assert written["function"] == {"name": "look", "arguments": '{"a":1}'}
    assert signature_of(written) == "AbC="


def test_a_call_with_free_text_comes_back_as_it_went() -> None:
    item = {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}

    assert write_custom(read_custom("c1", {"name": "shell", "input": "ls"})) == item
    assert write_custom(Foreign("anthropic", {"type": "custom_tool_call"})) is None
    assert write_custom(Foreign("openai", {"type": "web_search_call"})) is None
