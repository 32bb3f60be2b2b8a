import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Delta,
    Finished,
    Foreign,
    Image,
    Inline,
    Reasoning,
    Started,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import ProviderError, Usage
from llmproxy_bedrock.frames import event_frame, exception_frame
from llmproxy_bedrock.streams import ConverseDecoder

from .conftest import BEGUN, COUNTED, ENDED, SAID, call_start, collected, delta, stop, streamed


def content_of(*frames):
    return collected(b"".join([BEGUN, *frames, ENDED, COUNTED])).choices[0].content


def test_a_stream_is_read_event_by_event():
    events = ConverseDecoder().feed(SAID)

    assert events[:4] == [Started(), BlockStarted(0, Text(text="")), Delta(0, "Hel"), Delta(0, "lo")]
    assert events[4:6] == [BlockEnded(0), Finished("stop", None, "end_turn")]
    assert collected(SAID) == Answer(
        choices=(Choice(content=(Text(text="Hello"),), finish="stop", detail="end_turn"),),
        usage=Usage(3, 0, 0, 2),
    )


@given(st.lists(st.integers(1, 90), max_size=40))
def test_any_chunking_tells_the_same(cuts):
    assert collected(SAID, cuts) == collected(SAID)


SEALED = base64.b64encode(b"Etk").decode()


@pytest.mark.parametrize(
    ("frames", "content"),
    [
        (
            [call_start(0), delta(0, toolUse={"input": '{"a"'}), delta(0, toolUse={"input": ":1}"}), stop(0)],
            (ToolCall(id="t1", name="look", arguments='{"a":1}'),),
        ),
        ([call_start(0, type="tool_use"), stop(0)], (ToolCall(id="t1", name="look"),)),
        (
            [
                delta(0, reasoningContent={"text": "h"}),
                delta(0, reasoningContent={"text": "m"}),
                delta(0, reasoningContent={"signature": "si"}),
                delta(0, reasoningContent={"signature": "g"}),
                stop(0),
            ],
            (Reasoning(text="hm", signature="sig", origin="anthropic"),),
        ),
        (
            [delta(0, reasoningContent={"redactedContent": SEALED}), stop(0)],
            (Reasoning(redacted="Etk", origin="anthropic"),),
        ),
        (
            [
                delta(0, text="x"),
                delta(0, citation={"location": {"web": {"url": "u"}}}),
                delta(0, citation={"location": {"odd": {}}}),
                stop(0),
            ],
            (Text(text="x", citations=(Citation(kind="url", url="u"),)),),
        ),
        ([delta(0, text=""), stop(0), delta(1, text="x"), stop(1)], (Text(text="x"),)),
        (
            [delta(0, reasoningContent={"text": "hm"}), delta(0, text="x"), stop(0)],
            (Reasoning(text="hm", origin="anthropic"), Text(text="x")),
        ),
        (
            [
                call_start(0, type="server_tool_use"),
                delta(0, toolUse={"input": "{}"}),
                stop(0),
                delta(1, text="x"),
                stop(1),
            ],
            (
                Foreign(
                    origin="bedrock",
                    value={
                        "toolUse": {"toolUseId": "t1", "name": "look", "type": "server_tool_use", "input": {}}
                    },
                ),
                Text(text="x"),
            ),
        ),
        (
            [
                event_frame(
                    "contentBlockStart", {"start": {"toolResult": {"toolUseId": "t"}}, "contentBlockIndex": 0}
                ),
                delta(0, toolResult=[{"text": "x"}]),
                stop(0),
            ],
            (
                Foreign(
                    origin="bedrock", value={"toolResult": {"toolUseId": "t", "content": [{"text": "x"}]}}
                ),
            ),
        ),
        (
            [
                event_frame(
                    "contentBlockStart", {"start": {"image": {"format": "png"}}, "contentBlockIndex": 0}
                ),
                delta(0, image={"source": {"bytes": "AAAA"}}),
                stop(0),
            ],
            (Image(source=Inline(media_type="image/png", data="AAAA")),),
        ),
        ([delta(0, text="x")], (Text(text="x"),)),
        ([event_frame("tomorrows", {"a": 1}), delta(0, tomorrows=1), stop(0)], ()),
    ],
)
def test_blocks_are_put_together(frames, content):
    assert content_of(*frames) == content


def test_pieces_of_two_blocks_may_come_mixed():
    content = content_of(
        call_start(0),
        call_start(1, toolUseId="t2"),
        delta(1, toolUse={"input": "{}"}),
        delta(0, toolUse={"input": '{"a":1}'}),
        stop(1),
        stop(0),
    )

    assert [call.arguments for call in content] == ['{"a":1}', "{}"]


def test_a_stream_may_leave_out_that_it_begins():
    assert collected(delta(0, text="x") + BEGUN + ENDED).choices[0].content == (Text(text="x"),)


@pytest.mark.parametrize(
    ("trace", "explanation"), [({"guardrail": {"actionReason": "No topics."}}, "No topics."), (None, "")]
)
def test_a_guardrails_reason_comes_behind_the_end(trace, explanation):
    stopped = event_frame("messageStop", {"stopReason": "guardrail_intervened"})
    metadata = event_frame("metadata", {"trace": trace}) if trace else b""
    (choice,) = collected(BEGUN + stopped + metadata).choices

    assert (choice.finish, choice.explanation) == ("content_filter", explanation)


def test_an_exception_ends_the_stream_wherever_it_comes():
    data = BEGUN + delta(0, text="x") + exception_frame("throttlingException", {"message": "slow"}) + ENDED

    with pytest.raises(ProviderError, match="slow"):
        collected(data)


@pytest.mark.parametrize(
    "data", [b"", BEGUN, BEGUN + delta(0, text="x"), BEGUN + delta(0, text="x") + stop(0), SAID[:-1]]
)
def test_a_stream_without_its_end_is_cut(data):
    with pytest.raises(TruncatedStream):
        collected(data)


@given(st.integers(0, len(SAID) - len(COUNTED) - 1))
def test_no_cut_stream_is_taken_for_a_whole_one(size):
    with pytest.raises(TruncatedStream):
        collected(SAID[:size])


@pytest.mark.parametrize(
    "data",
    [
        b"data: {}\n\n" * 4,
        BEGUN + ENDED + ENDED,
        BEGUN + ENDED + delta(0, text="x"),
        BEGUN + call_start(0) + call_start(0),
        BEGUN + delta(0, toolUse={"input": "x"}),
        BEGUN + event_frame("contentBlockDelta", {"delta": {"text": 1}, "contentBlockIndex": 0}),
        BEGUN + event_frame("contentBlockDelta", {"delta": {"text": "x"}, "contentBlockIndex": "0"}),
        BEGUN + event_frame("contentBlockDelta", []),
        BEGUN + event_frame("contentBlockStart", {"start": {"toolUse": {}}, "contentBlockIndex": 0}),
        BEGUN + delta(0, reasoningContent={"redactedContent": "%"}) + stop(0),
    ],
)
def test_what_is_not_of_the_dialect_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        collected(data + ENDED)


@given(st.integers(0, len(SAID) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_read_over(at, change):
    broken = bytearray(SAID)
    broken[at] ^= change

    with pytest.raises(ValueError, match=r"."):
        collected(bytes(broken))


@pytest.mark.shared
def test_every_recorded_stream_says_what_the_judge_reads(recordings, judge):
    seen = 0
    for record, data in streamed(recordings, "bedrock.converse_stream"):
        answer, truth = collected(data), judge.parse_response("bedrock.converse_stream", record["response"])
        (choice,) = answer.choices
        seen += 1

        assert "".join(block.text for block in choice.content if isinstance(block, Text)) == truth.text
        assert [b.name for b in choice.content if isinstance(b, ToolCall)] == [c["name"] for c in truth.calls]
    assert seen > 30


def test_indexes_have_no_gaps():
    frames = [delta(0, text=""), stop(0), delta(1, text="x"), stop(1), call_start(2), stop(2)]
    events = ConverseDecoder().feed(b"".join([BEGUN, *frames, ENDED]))
    begun = [event.index for event in events if isinstance(event, BlockStarted)]

    assert begun[0] == 0
    assert all(after == before + 1 for before, after in pairwise(begun))


def test_a_block_may_begin_without_saying_as_what():
    said = b"".join(
        [
            BEGUN,
            event_frame("contentBlockStart", {"contentBlockIndex": 0}),
            delta(0, text="a"),
            stop(0),
            ENDED,
        ]
    )

    assert collected(said).choices[0].content == (Text(text="a"),)
