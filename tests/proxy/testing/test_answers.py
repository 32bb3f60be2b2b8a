import orjson
import pytest

from llmproxy.sse import Framer, parse
from llmproxy.testing import answers
from llmproxy.testing.answers import Directions, read_directions


def test_directions_are_read_from_a_header():
    assert read_directions("events=50; delay=0.02;stall=headers ; id=a") == Directions(
        id="a", stall="headers", events=50, delay=0.02
    )
    assert read_directions("") == Directions()


@pytest.mark.parametrize(
    ("text", "message"), [("evnts=5", "no 'evnts', only id, "), ("events=x", "int"), ("stall=x", "x")]
)
def test_a_wrong_direction_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_directions(text)


def test_an_error_has_the_shape_of_the_api():
    directions = Directions(status=429, retry_after="3")
    head, _, body = answers.reply(directions, answers.problem(directions, "slow")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 429 Judged\r\n")
    assert b"\r\nRetry-After: 3\r\n" in head
    assert orjson.loads(body)["error"]["code"] == "rate_limit_exceeded"


def test_a_completion_has_the_size_and_the_echo_asked_for():
    reply = orjson.loads(answers.completion("m", Directions(size=10, echo="mark")))

    assert reply["choices"][0]["message"]["content"] == "markxxxxxx"
    assert (reply["model"], reply["usage"]["total_tokens"]) == ("m", 17)


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_has_the_events_asked_for_then_its_end(usage):
    chunks = answers.stream_events("m", Directions(events=3, size=4, echo="mark "), usage)
    payload = b"".join(chunk.partition(b"\r\n")[2][:-2] for chunk in chunks)
    *events, done = [parse(block) for block in Framer().feed(payload)]
    chats = [event.json() for event in events]

    assert [chat["choices"][0]["delta"]["content"] for chat in chats[:3]] == ["mark t0 ", "t1 x", "t2 x"]
    assert chats[3]["choices"][0]["finish_reason"] == "stop"
    assert ["usage" in chat for chat in chats[4:]] == [True] * usage
    assert done.data == b"[DONE]"


def test_a_vector_depends_on_its_text_alone():
    one, two, other = orjson.loads(answers.embeddings("m", ["a b", "a b", "c"]))["data"]

    assert one["embedding"] == two["embedding"] != other["embedding"]
    assert sum(value**2 for value in one["embedding"]) == pytest.approx(1)
    assert orjson.loads(answers.embeddings("m", "c"))["data"][0]["embedding"] == other["embedding"]
