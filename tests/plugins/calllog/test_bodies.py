import gzip
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_calllog.bodies import answer_text, cut, request_text
from llmproxy_calllog.copies import Copy
from llmproxy_calllog.taking import Kept

JSON = b"application/json"
STREAM = b"text/event-stream"


def request_kept(data, mode="redacted", media=JSON, size=None, limit=1000):
    return request_text(Kept(mode, data, media, len(data) if size is None else size, None, ()), limit)


def answer_kept(data, mode="redacted", media=JSON, coding=b"identity", limit=1000, most=4000):
    copy = Copy(media, coding, most)
    copy.feed(data)
    return answer_text(Kept(mode, None, b"", 0, copy, ()), limit)


def chunk(text, **more):
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": text}}], **more}) + b"\n\n"


def test_a_body_is_kept_in_full_where_that_is_wanted():
    assert request_kept(b'{"a": "mail a@b.example"}', "full") == '{"a": "mail a@b.example"}'


def test_a_json_body_is_redacted_text_by_text():
    assert request_kept(b'{"a": "a\\u0040b.example", "token": "x"}') == '{"a":"[mail]","token":"[redacted]"}'


def test_a_text_that_is_no_json_is_redacted_as_it_is():
    assert request_kept(b'{"a": "a@b.example', media=b"text/plain") == '{"a": "[mail]'


def test_no_body_is_not_an_empty_one():
    kept = Kept("full", None, b"", 0, None, ())

    assert (request_text(kept, 10), answer_text(kept, 10)) == (None, None)


@pytest.mark.parametrize("mode", ["full", "redacted"])
def test_a_body_is_cut_at_its_bound_and_marked(mode):
    text = request_kept(b"word " * 1000, mode, b"text/plain", limit=500)

    assert text == ("word " * 100) + "…"


def test_a_cut_text_ends_before_what_may_have_begun():
    data = b"x " * 200 + b"4111 1111 1111 1111"
    text = request_kept(data[:-8], media=b"text/plain", size=len(data), limit=4000)

    assert "4111" not in text


def test_what_is_no_text_is_described():
    assert request_kept(b"\x89PNG\0", media=b"image/png") == "[image/png, 5 bytes]"
    assert (
        request_kept(b"--x\r\n", media=b"multipart/form-data; boundary=x") == "[multipart/form-data, 5 bytes]"
    )
    assert answer_kept(b"x", coding=b"br") == "[application/json, 1 bytes]"


@pytest.mark.parametrize("mode", ["full", "redacted"])
def test_a_compressed_answer_is_read(mode):
    assert answer_kept(gzip.compress(b'{"a":1}'), mode, coding=b"gzip") == '{"a":1}'


def test_a_bomb_is_read_to_its_bound():
    assert (
        len(answer_kept(gzip.compress(b"a" * 10_000_000), "full", b"text/plain", b"gzip", most=100_000))
        <= 1001
    )


@given(st.integers(1, 18), st.integers(1, 18))
def test_a_number_in_pieces_is_no_secret_kept(first, second):
    number = "4111 1111 1111 1111"
    cuts = sorted({0, first, second, len(number)})
    parts = [number[a:b] for a, b in pairwise(cuts)]
    text = answer_kept(b"".join(map(chunk, ["card ", *parts, "."])), media=STREAM)

    assert orjson.loads(text) == {"choices[0].delta.content": "card [card]."}


def test_choices_are_told_apart():
    data = b"".join(
        b"data: " + orjson.dumps({"choices": [{"index": n, "delta": {"content": text}}]}) + b"\n\n"
        for n, text in [(0, "a"), (1, "x"), (0, "b"), (1, "y")]
    )

    assert orjson.loads(answer_kept(data, media=STREAM)) == {
        "choices[0].delta.content": "ab",
        "choices[1].delta.content": "xy",
    }


def test_a_stream_of_plain_text_is_joined_too():
    assert orjson.loads(answer_kept(b"data: a@b.ex\n\ndata: ample\n\ndata: [DONE]\n\n", media=STREAM)) == {
        "data": "[mail]"
    }


@given(
    st.binary(max_size=300),
    st.sampled_from([JSON, STREAM, b"", b"text/plain"]),
    st.sampled_from(["full", "redacted"]),
)
def test_any_bytes_can_be_kept_and_the_bound_holds(data, media, mode):
    text = answer_kept(data, mode, media, limit=256, most=1024)

    assert len(text.encode()) <= 256 + len("…".encode())


def test_a_cut_never_splits_a_sign():
    assert cut("ää", 3, whole=True) == "ä…"
