"""Ids of calls that came without one, or with another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.callids import CallIds, with_ids
from llmproxy.canonical import Answer, BlockEnded, BlockStarted, Choice, Text, ToolCall


def answer(*ids):
    calls = [ToolCall(id=name, name="look_up", arguments="{}") for name in ids]
    return Answer(id="a-1", choices=(Choice(content=(Text(text="hm"), *calls)),))


def ids_of(told):
    return [block.id for choice in told.choices for block in choice.content if isinstance(block, ToolCall)]


def test_an_answer_whose_calls_have_ids_is_the_same():
    told = answer("a", "b")

    assert with_ids(told, "seed") is told


@pytest.mark.parametrize("ids", [("", ""), ("a", "a"), ("", "a", "a", "")])
def test_each_call_gets_an_id_of_its_own(ids):
    named = ids_of(with_ids(answer(*ids), "seed"))

    assert len(set(named)) == len(ids)
    assert all(named)


def test_an_id_that_is_made_is_the_same_for_the_same_answer_and_another_for_another():
    assert ids_of(with_ids(answer(""), "x")) == ids_of(with_ids(answer(""), "x"))
    assert ids_of(with_ids(answer(""), "x")) != ids_of(with_ids(answer(""), "y"))


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=6))
def test_a_stream_gives_the_ids_that_a_whole_answer_gives(ids):
    told = CallIds("seed")
    events = [BlockStarted(n, block) for n, block in enumerate(answer(*ids).choices[0].content)]
    begun = [told.told(event).block for event in events]

    assert begun == list(with_ids(answer(*ids), "seed").choices[0].content)


def test_what_begins_no_call_is_left_alone():
    end = BlockEnded(3)

    assert CallIds("seed").told(end) is end
