import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Cited,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Ping,
    Refusal,
    Sequencer,
    Signed,
    Started,
    Text,
    ToolCall,
    TruncatedStream,
    events_of,
)
from llmproxy.errors import GatewayError
from llmproxy.exchange import Usage

from .made import ANSWERS, streams


def collected(events):
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.answer


def sequenced(events):
    sequencer = Sequencer()
    return [told for event in events for told in sequencer.feed(event)] + sequencer.close()


@given(ANSWERS)
def test_an_answer_told_as_a_stream_can_be_put_together_again(answer):
    assert collected(events_of(answer)) == answer


@pytest.mark.parametrize(
    "events",
    [
        [Delta(0, "a")],
        [Signed(0, "s")],
        [BlockStarted(0, Text("")), BlockEnded(0), Delta(0, "a")],
        [BlockStarted(0, Text("")), Delta(1, "a")],
    ],
)
def test_no_stream_tells_more_of_a_block_that_is_not_open(events):
    with pytest.raises(ValueError, match="not open"):
        collected(events)


def test_where_a_text_comes_from_may_be_told_behind_it():
    citation = Citation(kind="url", url="http://x")

    assert collected([BlockStarted(0, Text("a")), BlockEnded(0), Cited(0, citation)]).choices[0].content == (
        Text("a", citations=(citation,)),
    )


@given(ANSWERS)
def test_an_answers_stream_has_the_order_that_encoders_rely_on(answer):
    events = list(events_of(answer))
    open_blocks = []
    for event in events:
        if isinstance(event, BlockStarted):
            open_blocks.append(event.index)
        elif isinstance(event, BlockEnded):
            open_blocks.remove(event.index)
        elif isinstance(event, Delta | Signed | Cited):
            assert open_blocks == [event.index]
    starts = [event.index for event in events if isinstance(event, BlockStarted)]

    assert isinstance(events[0], Started)
    assert open_blocks == []
    assert starts == list(range(len(starts)))


def test_a_block_starts_without_what_its_pieces_tell():
    answer = Answer(
        choices=(Choice(content=(ToolCall(id="c", name="f", arguments='{"a":1}', signature="s"),)),)
    )

    started, delta, signed, ended = list(events_of(answer))[1:]
    assert started.block == ToolCall(id="c", name="f", arguments="")
    assert (delta.text, signed.signature) == ('{"a":1}', "s")
    assert ended == BlockEnded(0)


def test_log_probabilities_come_with_the_first_text_or_refusal():
    call, text, refusal = ToolCall(id="c", name="f"), Text(text="a"), Refusal(text="no")
    scores = {"content": [{"token": "a"}], "refusal": None}
    for content, index in (((call, text, text), 1), ((call, refusal), 1), ((call,), 0)):
        events = events_of(Answer(choices=(Choice(content=content, logprobs=scores),)))

        scored = [event.index for event in events if isinstance(event, Delta) and event.logprobs]
        assert scored == [index]


def test_log_probabilities_of_each_piece_are_gathered():
    piece = {"content": [{"token": "a"}], "refusal": None}
    events = [BlockStarted(0, Text(text="")), *[Delta(0, "a", piece)] * 3, Finished("stop")]

    answer = collected(events)
    assert answer.choices[0].logprobs == {"content": [{"token": "a"}] * 3, "refusal": None}
    assert piece["content"] == [{"token": "a"}]


def test_a_tool_call_without_arguments_has_none():
    assert collected([BlockStarted(0, ToolCall(id="c", name="f", arguments=""))]).choices[0].content == (
        ToolCall(id="c", name="f", arguments="{}"),
    )


def test_the_last_count_counts():
    first, last = Usage(input=1), Usage(input=1, output=2)

    assert collected([Started(usage=first)]).usage == first
    assert collected([Started(usage=first), Counted(first), Counted(last)]).usage == last


def test_a_failure_is_kept_apart_from_what_was_told():
    collector = Collector()
    error = GatewayError(500, "x", "y")
    for event in (Started(), BlockStarted(0, Text(text="half")), Failed(error)):
        collector.feed(event)

    assert collector.failed.error is error
    assert collector.answer.choices[0].finish is None


@given(streams())
def test_a_sequencer_never_lets_two_blocks_be_open(events):
    open_block, ended = None, -1
    for event in sequenced(events):
        if isinstance(event, BlockStarted):
            assert open_block is None
            assert event.index == ended + 1
            open_block = event.index
        elif isinstance(event, BlockEnded):
            assert open_block == event.index
            open_block, ended = None, event.index
        elif isinstance(event, Delta | Signed | Cited):
            assert open_block == event.index
        elif isinstance(event, Finished):
            assert open_block is None

    assert open_block is None


@given(streams())
def test_a_sequencer_loses_nothing_of_the_first_choice(events):
    straight, ordered = collected(events), collected(sequenced(events))

    assert ordered.choices[0] == straight.choices[0]
    assert len(ordered.choices) == 1
    assert ordered.usage == straight.usage


@given(streams())
def test_a_sequencer_ends_each_block_of_the_first_choice_once(events):
    told = sequenced(events)
    blocks = [event for event in events if isinstance(event, BlockStarted) and event.choice == 0]

    assert [event.index for event in told if isinstance(event, BlockEnded)] == list(range(len(blocks)))


def test_what_follows_one_another_already_goes_straight_through():
    events = list(
        events_of(Answer(choices=(Choice(content=(Text(text="a"), Text(text="b")), finish="stop"),)))
    )

    assert sequenced(events) == events


def test_pings_and_counts_do_not_wait_for_a_block():
    sequencer = Sequencer()
    sequencer.feed(BlockStarted(0, Text(text="")))

    assert sequencer.feed(Ping()) == [Ping()]
    assert sequencer.feed(Counted(Usage())) == [Counted(Usage())]


def test_an_error_ends_what_is_open_first():
    failed = Failed(GatewayError(500, "x", "y"))
    sequencer = Sequencer()
    sequencer.feed(BlockStarted(0, Text(text="")))

    assert sequencer.feed(failed) == [BlockEnded(0), failed]


@given(st.integers(2, 3000))
def test_any_number_of_blocks_may_wait(number):
    starts = [BlockStarted(index, Text(text="")) for index in range(number)]
    ends = [BlockEnded(index) for index in reversed(range(number))]

    assert len(sequenced([*starts, *ends])) == 2 * number


def test_a_truncated_stream_is_a_wrong_value():
    with pytest.raises(ValueError, match="half"):
        raise TruncatedStream("half")


def test_any_number_of_blocks_may_wait_for_another_to_end():
    sequencer = Sequencer()
    sequencer.feed(BlockStarted(0, Text(text="")))
    for index in range(1, 100_000):
        sequencer.feed(BlockStarted(index, Text(text="")))
        sequencer.feed(BlockEnded(index))

    assert len(sequencer.feed(BlockEnded(0))) == 1 + 2 * 99_999
