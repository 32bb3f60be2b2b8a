from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Started,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_ollama.answers import Stamp
from llmproxy_ollama.lines import LineDecoder
from llmproxy_ollama.retelling import _gathered
from llmproxy_ollama.telling import LineEncoder

STAMP = Stamp("public", "2026-01-01T00:00:00Z", 10.0)
CALLED = ToolCall(id="call_1", name="look", arguments='{"city":"Rome"}')


def told(*events, stamp=STAMP, times=(11.0, 13.0)):
    clock = iter(times)
    encoder = LineEncoder(stamp, lambda: next(clock))
    pieces = [piece for event in events for piece in encoder.feed(event)]
    return [orjson.loads(line) for line in b"".join([*pieces, *encoder.close()]).splitlines()]


def test_each_piece_is_a_line_and_the_last_one_counts():
    choice = Choice(content=(Reasoning(text="hm"), Text(text="Hi"), CALLED), finish="tool_calls")
    thought, said, called, end = told(*events_of(Answer(choices=(choice,), usage=Usage(1, 2, 0, 3, 4))))

    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert said == {
        "model": "public",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "Hi"},
        "done": False,
    }
    assert called["message"]["tool_calls"][0]["function"]["arguments"] == {"city": "Rome"}
    assert (end["done"], end["done_reason"]) == (True, "stop")
    assert (end["prompt_eval_count"], end["eval_count"]) == (3, 7)
    assert (end["prompt_eval_duration"], end["eval_duration"]) == (1_000_000_000, 2_000_000_000)


def test_a_prompts_answer_stands_in_response():
    choice = Choice(content=(Reasoning(text="hm"), Text(text="Hi"), CALLED), finish="stop")
    thought, said, end = told(*events_of(Answer(choices=(choice,))), stamp=STAMP._replace(plain=True))

    assert (thought["response"], thought["thinking"]) == ("", "hm")
    assert (said["response"], end["response"]) == ("Hi", "")
    assert "message" not in said


def test_an_error_ends_the_stream_without_a_last_line():
    lines = told(Started(), BlockStarted(0, Text(text="Hi")), Failed(GatewayError(500, "x", "Broken.")))

    assert lines[-1] == {"error": "Broken."}
    assert not any(line.get("done") for line in lines)


def test_overlapping_calls_leave_whole():
    lines = told(
        BlockStarted(0, ToolCall(id="a", name="look", arguments="")),
        BlockStarted(1, ToolCall(id="b", name="walk", arguments="{}")),
        Delta(0, '{"a":'),
        Delta(1, '{"b":2}'),
        Delta(0, "1}"),
        BlockEnded(1),
        Finished("tool_calls"),
    )
    calls = [line["message"]["tool_calls"][0]["function"] for line in lines[:-1]]

    assert [(call["index"], call["name"], call["arguments"]) for call in calls] == [
        (0, "walk", {"b": 2}),
        (1, "look", {"a": 1}),
    ]


def test_other_choices_are_left_out():
    lines = told(
        BlockStarted(0, Text(text=""), 1), Delta(0, "other"), Finished("length", choice=1), Finished("stop")
    )

    assert len(lines) == 1
    assert lines[0]["done_reason"] == "stop"


def test_log_probabilities_stand_in_their_line():
    scored = Delta(
        0, "Hi", {"content": [{"token": "Hi", "logprob": -1.0, "bytes": None, "top_logprobs": []}]}
    )
    line = told(BlockStarted(0, Text(text="")), scored, Finished("stop"))[0]

    assert line["logprobs"] == [{"token": "Hi", "logprob": -1.0}]


def test_the_providers_name_counts_where_the_caller_gave_none():
    assert (
        told(Started(model="theirs"), Finished("stop"), stamp=STAMP._replace(model=""))[0]["model"]
        == "theirs"
    )


def test_a_stream_without_a_reason_is_no_good_end():
    assert told(Started())[-1]["done_reason"] == "error"


BLOCKS = st.one_of(
    st.builds(Text, text=st.text(min_size=1)),
    st.builds(Reasoning, text=st.text(min_size=1)),
    st.builds(
        ToolCall,
        id=st.uuids().map(str),
        name=st.text(min_size=1),
        arguments=st.sampled_from(["{}", '{"a":1}']),
    ),
)


def _fits(blocks):
    return all(type(one) is not type(two) or type(one) is ToolCall for one, two in pairwise(blocks))


@given(st.lists(BLOCKS, max_size=5).filter(_fits), st.integers(0, 9), st.integers(0, 9))
def test_what_is_told_is_read_back(blocks, prompt, output):
    finish = "tool_calls" if any(type(block) is ToolCall for block in blocks) else "stop"
    choice = Choice(content=tuple(blocks), finish=finish, detail="stop")
    answer = Answer(model="public", choices=(choice,), usage=Usage(prompt, 0, 0, output))
    encoder, decoder, collector = LineEncoder(STAMP, lambda: 11.0), LineDecoder(), Collector()
    data = b"".join([*(p for event in events_of(answer) for p in encoder.feed(event)), *encoder.close()])
    for event in [*decoder.feed(data), *decoder.close()]:
        collector.feed(event)

    assert collector.answer.choices == answer.choices
    assert collector.answer.usage == answer.usage


def test_usage_may_be_told_first():
    end = told(Started(usage=Usage(4)), Finished("stop"))[-1]

    assert (end["prompt_eval_count"], end["eval_count"]) == (4, 0)
    assert told(Started(usage=Usage(4)), Finished("stop"), Counted(Usage(4, 0, 0, 2)))[-1]["eval_count"] == 2


@pytest.mark.parametrize("plain", [False, True])
def test_the_lines_are_one_answer(plain):
    choice = Choice(content=(Text(text="Hi"),), finish="stop")
    encoder = LineEncoder(STAMP._replace(plain=plain), lambda: 11.0)
    data = b"".join(
        [
            *(p for event in events_of(Answer(choices=(choice,))) for p in encoder.feed(event)),
            *encoder.close(),
        ]
    )
    whole = _gathered(data)

    assert whole["done"] is True
    assert whole["response" if plain else "message"]
