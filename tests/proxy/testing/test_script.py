import gzip

import orjson
import pytest

from llmproxy.testing.script import Script


def sent(answer, method="POST"):
    return b"".join(step for step in answer.plan(method) if isinstance(step, bytes))


def test_answers_come_in_order_and_the_last_repeats():
    script = Script().reply(500).reply(200).reply(404, path="/gone")

    assert [sent(script.next_answer("/"))[9:12] for _ in range(3)] == [b"500", b"200", b"200"]
    assert sent(script.next_answer("/gone"))[9:12] == b"404"


def test_a_path_without_an_answer_says_so():
    assert b"no answer is scripted for '/x'" in sent(Script().reply(path="/y").next_answer("/x"))


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        ("length", b"Content-Length: 2\r\n\r\nhi"),
        ("chunked", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        ("close", b"Connection: close\r\n\r\nhi"),
    ],
)
def test_a_body_is_framed_as_told(framing, wire):
    answer = Script().reply(body=b"hi", headers=[("X-A", "1")], framing=framing).next_answer("/")

    assert sent(answer) == b"HTTP/1.1 200 Scripted\r\nX-A: 1\r\n" + wire
    assert answer.then == ("close" if framing == "close" else "keep")


def test_a_body_may_be_compressed_and_follow_interim_heads():
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    head, _, body = sent(
        Script().reply(json={"a": 1}, gzip=True, interim=[early]).next_answer("/")
    ).rpartition(b"\r\n\r\n")

    assert head.startswith(early + b"HTTP/1.1 200")
    assert b"Content-Encoding: gzip" in head
    assert orjson.loads(gzip.decompress(body)) == {"a": 1}


def test_a_head_request_gets_no_body():
    answer = Script().reply(body=b"hi").next_answer("/")

    assert sent(answer, "HEAD") == sent(answer)[:-2]


def test_a_status_without_a_body_has_no_length():
    assert b"Content-Length" not in sent(Script().reply(204, body=b"").next_answer("/"))


def test_events_are_apart_by_the_delay():
    answer = Script().stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.5).next_answer("/")

    assert list(answer.plan("POST"))[1:] == [
        b"9\r\ndata: 1\n\n\r\n",
        0.5,
        b"9\r\ndata: 2\n\n\r\n",
        b"0\r\n\r\n",
    ]


@pytest.mark.parametrize("after", [0, 1, 9, 60, 10_000])
def test_an_answer_is_cut_after_so_many_bytes(after):
    whole = sent(Script().reset(after_bytes=100_000).next_answer("/"))
    answer = Script().reset(after_bytes=after).next_answer("/")

    assert sent(answer) == whole[:after]
    assert answer.then == "reset"
    assert b"Content-Length: 1000\r\n" in whole


def test_raw_bytes_are_left_alone():
    answer = Script().raw(b"HTTP/1.1 2", 0.1, b"00\n\n").next_answer("/")

    assert (list(answer.plan("HEAD")), answer.then) == ([b"", b"HTTP/1.1 2", 0.1, b"00\n\n"], "close")
