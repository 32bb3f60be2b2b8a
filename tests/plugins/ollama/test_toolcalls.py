from __future__ import annotations

import pytest

from llmproxy.canonical import ToolCall
from llmproxy_ollama.toolcalls import OpenCalls, arguments_of, made_id, written_call


@pytest.mark.parametrize(
    ("told", "text"), [({"a": 1}, '{"a":1}'), ({}, "{}"), (None, "{}"), ("", "{}"), ('{"a": 1}', '{"a":1}')]
)
def test_arguments_are_an_object_however_they_are_written(told, text):
    assert arguments_of(told) == text


@pytest.mark.parametrize("told", [[], 1, "[1]", "{"])
def test_other_arguments_are_none(told):
    with pytest.raises(ValueError, match=r"."):
        arguments_of(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [('{"a":1}', {"a": 1}), ("", {}), ("[1]", {"arguments": [1]}), ("{a", {"arguments": "{a"})],
)
def test_a_call_is_written_with_an_object(text, told):
    call = written_call(ToolCall(id="c", name="look", arguments=text), 2)

    assert call == {"id": "c", "function": {"index": 2, "name": "look", "arguments": told}}


def test_a_call_without_an_id_gets_the_same_one_again():
    first, second = OpenCalls("s"), OpenCalls("s")

    assert first.opened("look", "", "{}") == second.opened("look", "", "{}") != first.opened("look", "", "{}")
    assert OpenCalls().opened("look", "given", "{}") == "given"
    assert made_id("\ud800").startswith("call_")


def test_results_find_their_calls_by_id_by_name_and_by_order():
    calls = OpenCalls()
    one, two, three = (calls.opened(name, "", "{}") for name in ("look", "look", "walk"))

    assert calls.answered("", "walk") == (three, "walk")
    assert calls.answered(two, "") == (two, "look")
    assert calls.answered("", "") == (one, "look")


def test_a_result_of_nothing_keeps_what_it_says():
    calls = OpenCalls()

    assert calls.answered("x", "look") == ("x", "look")
    given, name = calls.answered("", "look")
    assert given.startswith("call_")
    assert name == "look"
    assert calls.answered("", "")[1] == ""


def test_a_foreign_id_takes_no_other_call_away():
    calls = OpenCalls()
    one = calls.opened("look", "", "{}")

    assert calls.answered("foreign", "look") == ("foreign", "look")
    assert calls.answered("", "look") == (one, "look")
