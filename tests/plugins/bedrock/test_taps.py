import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage
from llmproxy_bedrock.frames import event_frame, exception_frame
from llmproxy_bedrock.taps import StreamTap

from .conftest import BEGUN, COUNTED, ENDED, SAID, call_start, delta, stop, streamed


def tapped(data, cuts=()):
    tap, at = StreamTap(), 0
    for cut in (*cuts, len(data)):
        tap.feed(data[at : at + cut])
        at += cut
    tap.end()
    return tap


def chunk(text):
    return event_frame("chunk", {"bytes": base64.b64encode(text.encode()).decode(), "p": "abc"})


NATIVE = chunk('{"type":"message_start","message":{"usage":{"input_tokens":9}}}')
LAST = chunk('{"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":5}}')


@given(st.lists(st.integers(1, 90), max_size=30))
def test_a_stream_is_read_however_it_is_cut(cuts):
    tap = tapped(SAID, cuts)

    assert (tap.first_output, tap.terminal, tap.cut, tap.failed) == (True, True, False, False)
    assert tap.usage == Usage(3, 0, 0, 2)


@pytest.mark.parametrize(
    ("data", "output"),
    [
        (b"", False),
        (BEGUN, False),
        (BEGUN + delta(0, text="x"), True),
        (BEGUN + call_start(0), True),
        (BEGUN + stop(0), False),
    ],
)
def test_output_begins_with_a_block(data, output):
    assert tapped(data).first_output is output


@pytest.mark.parametrize("data", [BEGUN + delta(0, text="x"), SAID[:-3], BEGUN + ENDED + COUNTED[:9]])
def test_a_stream_without_its_end_is_cut(data):
    assert tapped(data).cut


def test_an_exception_is_an_end_and_no_good_one():
    tap = tapped(BEGUN + exception_frame("throttlingException", {"message": "x"}))

    assert (tap.failed, tap.terminal, tap.first_output) == (True, True, False)


def test_a_native_stream_tells_at_its_end_what_was_used():
    tap = tapped(NATIVE + chunk('{"type":"content_block_delta"}') + LAST)

    assert tap.usage == Usage(7, 0, 0, 5)
    assert (tap.first_output, tap.terminal, tap.cut) == (True, True, False)
    assert not tapped(NATIVE).first_output
    assert tapped(NATIVE + chunk("{}")).cut
    assert tapped(event_frame("chunk", {"odd": 1})).usage is None


def test_a_guardrail_ends_a_native_stream_too():
    tap = tapped(
        chunk('{"outputText":"no","inputTextTokenCount":6.0,"amazon-bedrock-guardrailAction":"INTERVENED"}')
    )

    assert tap.terminal
    assert tap.usage == Usage(6)


def test_what_is_no_stream_of_frames_is_let_be():
    tap = tapped(b"data: x\n\n" * 20)

    assert (tap.first_output, tap.terminal, tap.usage) == (False, False, None)


def test_a_long_frame_is_output_before_it_is_whole():
    tap = StreamTap()
    tap.feed(delta(0, text="x" * 2_000_000)[:1_500_000])

    assert tap.first_output


def test_what_came_before_a_break_counts():
    tap = StreamTap()
    tap.feed(SAID[:-1])
    tap.fail(ConnectionError())

    assert tap.terminal


@pytest.mark.shared
@pytest.mark.parametrize("dialect", ["bedrock.converse_stream", "bedrock.invoke_stream"])
def test_every_recorded_stream_is_whole(recordings, dialect):
    for record, data in streamed(recordings, dialect):
        tap = tapped(data)

        assert (tap.first_output, tap.terminal, tap.cut, tap.failed) == (True, True, False, False), record[
            "id"
        ]
