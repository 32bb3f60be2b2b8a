import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage
from llmproxy.testing import assert_bytes_invariant
from llmproxy_anthropic.taps import LONG_TAIL, TAIL, StreamTap

from .conftest import stream_bytes, streamed


def event(kind, **more):
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **more}) + b"\n\n"


def piece(text):
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


START = event(
    "message_start", message={"usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}}
)
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PING = event("ping")
END = (
    event("content_block_stop", index=0)
    + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 6})
    + event("message_stop")
)
STREAM = START + TEXT + PING + b"".join(piece(f"word {n}") for n in range(40)) + END


def fed(data, *cuts):
    tap = StreamTap()
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        if start < end:
            tap.feed(data[start:end])
    return tap


def findings(tap):
    tap.end()
    return tap.first_output, tap.terminal, tap.usage


class Report:
    """A tap as the kit's check wants it: its findings leave at the end."""

    def __init__(self) -> None:
        self._tap = StreamTap()

    def feed(self, data: bytes) -> bytes:
        self._tap.feed(data)
        return b""

    def close(self) -> bytes:
        return repr(findings(self._tap)).encode()


def test_a_stream_tells_output_usage_and_end():
    assert findings(fed(STREAM)) == (True, True, Usage(5, 2, 0, 6))


@pytest.mark.parametrize(
    "text", [STREAM[:700] + END, START + event("error", error={"type": "overloaded_error"})]
)
def test_the_cuts_do_not_matter(text):
    assert_bytes_invariant(Report, text)


@given(st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=12).map(sorted))
def test_cuts_of_a_long_stream_do_not_matter(cuts):
    assert findings(fed(STREAM, *cuts)) == (True, True, Usage(5, 2, 0, 6))


def test_a_preamble_is_no_output_and_the_first_word_is():
    tap = StreamTap()
    tap.feed(START + TEXT + PING)
    assert not tap.first_output

    tap.feed(piece("Hi"))
    assert tap.first_output


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": ""}, False),
        ({"type": "thinking", "thinking": ""}, False),
        ({"type": "tool_use", "id": "t"}, True),
        ({"type": "redacted_thinking", "data": "x"}, True),
        ({"type": "text_editor_code_execution_tool_result"}, True),
        ({"type": "server_tool_use"}, True),
    ],
)
def test_a_block_that_begins_is_output_if_it_holds_something(block, expected):
    tap = fed(START + event("content_block_start", index=0, content_block=block))

    assert tap.first_output is expected


def test_an_error_is_an_end_and_no_output():
    assert findings(fed(event("error", error={"type": "overloaded_error"}))) == (False, True, None)


def test_a_stream_that_breaks_off_keeps_what_was_told():
    tap = fed(START + TEXT + piece("Hi"))
    tap.fail(ConnectionResetError())

    assert (tap.terminal, tap.usage) == (False, Usage(5, 2, 0, 1))


def test_words_of_the_answer_are_no_end_and_no_usage():
    words = '"type":"message_stop" "usage":{"output_tokens":99} event: message_stop'
    tap = fed(START + TEXT + piece(words))

    assert findings(tap) == (True, False, Usage(5, 2, 0, 1))


def test_no_more_than_the_tail_is_kept():
    tap = StreamTap()
    tap.feed(START + TEXT)
    for number in range(3000):
        tap.feed(piece(f"word {number}"))

    assert sum(map(len, tap._pieces)) <= 5 * TAIL
    tap.feed(END)
    assert findings(tap) == (True, True, Usage(5, 2, 0, 6))


def test_a_head_without_end_counts_as_output():
    tap = StreamTap()
    for _ in range(40):
        tap.feed(b"x" * 64 * 1024)

    assert tap.first_output
    assert sum(map(len, tap._pieces)) <= LONG_TAIL + 64 * 1024


@pytest.mark.shared
def test_every_recorded_stream_tells_its_usage(recordings, judge):
    for record in streamed(recordings):
        raw = stream_bytes(record)
        truth = judge.parse_response(record["dialect"], record["response"])
        first, terminal, usage = findings(fed(raw, *range(997, len(raw), 997)))

        assert terminal, record["id"]
        assert first or not (truth.text or truth.calls)
        assert usage is not None
        assert usage.total == truth.usage["input"] + truth.usage["output"]


def test_a_message_without_its_end_is_cut():
    whole, half = fed(STREAM), fed(STREAM[: STREAM.index(b"event: message_stop")])
    whole.end()
    half.end()

    assert (whole.cut, half.cut) == (False, True)


@pytest.mark.parametrize(
    ("last", "failed"),
    [(b'{"type":"error","error":{"type":"overloaded_error"}}', True), (b'{"type":"message_stop"}', False)],
)
def test_an_error_that_ends_a_stream_is_told_from_its_end(last, failed):
    tap = StreamTap()
    tap.feed(b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n')
    tap.feed(b"data: " + last + b"\n\n")
    tap.end()

    assert (tap.failed, tap.terminal) == (failed, True)
