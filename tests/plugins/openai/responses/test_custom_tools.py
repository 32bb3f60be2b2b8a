from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from llmproxy.canonical import Losses
from llmproxy.plugin import BadField
from llmproxy_openai.responses.custom_tools import arguments_of, custom_names, input_of, read_custom

from .drawn import words


@given(words)
def test_an_input_comes_back_from_the_arguments(given_input: str) -> None:
    assert input_of(arguments_of(given_input)) == given_input


@pytest.mark.parametrize("arguments", ["*** Begin", '{"a":1}', "[]", '{"input":1}', ""])
def test_arguments_of_another_form_are_the_input(arguments: str) -> None:
    assert input_of(arguments) == arguments


def test_no_arguments_are_no_input() -> None:
    assert input_of("{}") == ""


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ([{"type": "custom", "name": "a"}, {"type": "function", "name": "b"}, 1], {"a"}),
        ([{"type": "custom"}], set()),
        (None, set()),
    ],
)
def test_custom_tools_are_known_by_their_names(tools: Any, names: set[str]) -> None:
    assert custom_names(tools) == names


def test_a_tool_of_plain_text_loses_nothing() -> None:
    losses = Losses()

    tool = read_custom({"type": "custom", "name": "say", "format": {"type": "text"}}, losses)

    assert (tool.name, tool.description) == ("say", "")
    assert not len(losses)


@pytest.mark.parametrize("told", [{"type": "custom"}, {"type": "custom", "name": "a", "format": 1}])
def test_a_broken_tool_is_named(told: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        read_custom(told, Losses())
