import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.canonical import made

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Ping,
    Reasoning,
    Refusal,
    Signed,
    Started,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import Form, ProviderError, Usage
from llmproxy_bedrock.answers import encode_answer
from llmproxy_bedrock.retelling import retell
from llmproxy_bedrock.telling import ConverseEncoder

from .conftest import collected, streamed, told


def written(*events):
    encoder = ConverseEncoder()
    pieces = [piece for event in events for piece in encoder.feed(event)]
    return b"".join([*pieces, *encoder.close()])


def test_an_answer_is_told_frame_by_frame():
    frames = told(
        written(
            Started(),
            Ping(),
            BlockStarted(0, Text(text="")),
            Delta(0, "Hel"),
            Delta(0, "lo"),
            BlockEnded(0),
            Finished("stop"),
            Counted(Usage(3, 0, 0, 2)),
        )
    )

    assert frames == [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": "Hel"}, "contentBlockIndex": 0}),
        ("contentBlockDelta", {"delta": {"text": "lo"}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        (
            "metadata",
            {
                "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
                "metrics": {"latencyMs": 0},
            },
        ),
    ]


CONTENT = (
    Reasoning(text="hm", signature="s", origin="anthropic"),
    Reasoning(redacted="Etk", origin="anthropic"),
    Text(text="hi", citations=(Citation(kind="url", url="u"),)),
    ToolCall(id="t", name="f", arguments='{"a":1}'),
    ToolCall(id="t2", name="f"),
)


def test_what_is_told_is_read_again():
    answer = Answer(
        choices=(Choice(content=CONTENT, finish="tool_calls", detail="tool_use"),), usage=Usage(3, 1, 0, 2)
    )

    assert collected(written(*events_of(answer))) == answer


@given(st.lists(made.TOLD, max_size=4))
def test_a_stream_tells_what_a_whole_answer_tells(content):
    said = [block for block in content if isinstance(block, Text | ToolCall | Refusal)]
    answer = Answer(choices=(Choice(content=tuple(said), finish="stop"),))
    whole = encode_answer(answer)["output"]["message"]["content"]
    again = collected(written(*events_of(answer)))

    assert encode_answer(again)["output"]["message"]["content"] == whole


@given(st.lists(made.TOLD, max_size=4))
def test_any_answer_can_be_told(content):
    answer = Answer(choices=(Choice(content=tuple(content), finish="stop"),))

    assert collected(written(*events_of(answer))).choices[0].finish in {"stop", "tool_calls"}


def test_a_foreign_proof_travels_as_the_signature():
    block = Reasoning(redacted="r", origin="openai", id="rs_1")
    frames = told(written(Started(), BlockStarted(0, block), Delta(0, "hm"), BlockEnded(0), Finished("stop")))
    signature = frames[2][1]["delta"]["reasoningContent"]["signature"]

    assert frames[1][1]["delta"] == {"reasoningContent": {"text": "hm"}}
    assert signature.startswith("llmproxy:openai:")


def test_blocks_that_overlap_are_told_one_after_another():
    frames = told(
        written(
            Started(),
            BlockStarted(0, ToolCall(id="a", name="f", arguments="")),
            BlockStarted(1, ToolCall(id="b", name="f", arguments="")),
            Delta(1, "{}"),
            Delta(0, "[]"),
            Finished("stop"),
        )
    )

    assert [frame["contentBlockIndex"] for name, frame in frames if name == "contentBlockDelta"] == [0, 1]
    assert frames[-2][1] == {"stopReason": "tool_use"}


def test_an_error_ends_the_stream_and_nothing_follows():
    fault = ProviderError(429, "x", "slow", kind="rate_limit")
    frames = told(written(Started(), Failed(fault), Finished("stop")))

    assert frames[1:] == [("throttlingException", {"message": "slow"})]


@pytest.mark.parametrize("block", [Foreign(origin="x", value={}), Foreign(origin="bedrock", value={})])
def test_blocks_that_no_stream_can_tell_are_left_out(block):
    frames = told(
        written(
            Started(), BlockStarted(0, block), Delta(0, "x"), Signed(0, "s"), BlockEnded(0), Finished("stop")
        )
    )

    assert [name for name, _ in frames] == ["messageStart", "messageStop", "metadata"]


def test_a_stream_without_any_event_is_whole_all_the_same():
    assert [name for name, _ in told(written())] == ["messageStart", "messageStop", "metadata"]
    assert told(written(Cited(0, Citation(kind="url"))))[0][0] == "messageStart"


def test_a_filters_reason_is_told_as_a_guardrails():
    frames = told(written(Started(), Finished("content_filter", None, "", "No topics.")))

    assert frames[-1][1]["trace"] == {"guardrail": {"actionReason": "No topics."}}


@pytest.mark.shared
def test_every_recorded_stream_is_told_as_it_was(recordings):
    for _, data in streamed(recordings, "bedrock.converse_stream"):
        answer = collected(data)

        assert collected(written(*events_of(answer))) == answer
        assert retell(data, Form("bedrock", "converse", streamed=True), Form("bedrock", "converse"))
