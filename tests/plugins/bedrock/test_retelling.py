import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.canonical import ToolCall
from llmproxy.plugin import Form, Untellable
from llmproxy_bedrock.answers import decode_answer
from llmproxy_bedrock.frames import event_frame, exception_frame
from llmproxy_bedrock.retelling import retell

from .conftest import BEGUN, COUNTED, ENDED, SAID, call_start, collected, delta, stop, streamed

WHOLE, STREAMED = Form("bedrock", "converse"), Form("bedrock", "converse", streamed=True)


def gathered(data):
    return orjson.loads(retell(data, STREAMED, WHOLE))


def answer(*content, **more):
    told = {"output": {"message": {"role": "assistant", "content": list(content)}}, "stopReason": "end_turn"}
    return {**told, "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, **more}


def test_a_stream_is_put_together():
    assert gathered(SAID) == {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 1},
    }


BLOCKS = [
    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
    {"reasoningContent": {"redactedContent": "RXRr"}},
    {"text": "hi"},
    {"citationsContent": {"content": [{"text": "x"}], "citations": [{"title": "T"}]}},
    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
]


def test_what_was_taken_apart_is_put_together_again():
    told = answer(*BLOCKS, metrics={"latencyMs": 1}, trace={"guardrail": {"actionReason": "x"}})

    assert gathered(retell(orjson.dumps(told), WHOLE, STREAMED)) == told


@pytest.mark.parametrize(
    "data",
    [
        BEGUN,
        SAID[:-1],
        BEGUN + BEGUN + ENDED,
        BEGUN + exception_frame("throttlingException", {}) + ENDED,
        BEGUN + event_frame("tomorrows", {}) + ENDED + COUNTED,
        BEGUN + call_start(0, type="server_tool_use") + stop(0) + ENDED,
        BEGUN + delta(0, tomorrows="x") + ENDED,
        BEGUN + delta(0, text="x") + delta(0, reasoningContent={"text": "y"}) + ENDED,
        BEGUN + delta(0, reasoningContent={"text": "y", "redactedContent": "RXRr"}) + ENDED,
        BEGUN + delta(0, text="x", citation={}) + ENDED,
    ],
)
def test_a_stream_that_would_be_poorer_is_not_told(data):
    with pytest.raises(Untellable):
        retell(data, STREAMED, WHOLE)


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"output": {"message": {"content": []}}},
        answer(tomorrows=1),
        answer({"image": {}}),
        answer({"toolUse": {"type": "server_tool_use"}}),
        answer({"text": "a", "odd": 1}),
    ],
)
def test_an_answer_that_would_be_poorer_is_not_told(told):
    with pytest.raises(Untellable):
        retell(orjson.dumps(told), WHOLE, STREAMED)


def said(answer):
    """Return what an answer says; spaces between arguments aside, and whose an unsigned thought is."""
    return [
        (block.name, orjson.loads(block.arguments))
        if isinstance(block, ToolCall)
        else (block.text, getattr(block, "signature", ""))
        for block in answer.choices[0].content
    ]


@pytest.mark.shared
def test_every_recorded_answer_is_told_in_both_forms(recordings):
    streams = [data for _, data in streamed(recordings, "bedrock.converse_stream")]
    told = 0
    for data in streams:
        try:
            again = retell(data, STREAMED, WHOLE)
        except Untellable:
            continue
        told += 1

        assert said(decode_answer(again)) == said(collected(data))
    for _, body in whole(recordings, "bedrock.converse"):
        try:
            again = retell(body, WHOLE, STREAMED)
        except Untellable:
            continue
        told += 1

        assert orjson.loads(retell(again, STREAMED, WHOLE)) == orjson.loads(body)
    assert told > 120
