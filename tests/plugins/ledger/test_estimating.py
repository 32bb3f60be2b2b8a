import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import PriceConfig, Usage, price_usage, priced_as
from llmproxy_ledger.estimating import Seen, ceiling, output_limit, quick_limit

from .stage import event


def seen(*pieces: bytes) -> int:
    watching = Seen()
    for piece in pieces:
        watching.feed(piece)
    watching.end()
    return watching.tokens


def test_an_event_is_a_token_at_least():
    assert seen() == 0
    assert seen(event("a"), event("b")) == 2
    assert seen(event("a") + event("b") + event("c")) == 3


def test_longer_texts_are_more_tokens():
    assert seen(event("x" * 40)) == 10
    assert seen(event("x" * 40), event("x" * 40)) == 20


def test_lines_and_frames_are_events_too():
    line, frame = b'{"message":{"content":"a"},"done":false}\n', b"\0\0\0\x80:event-type contentBlockDelta"

    assert seen(line, line) == 2
    assert seen(line.replace(b'"a"', b'"' + b"x" * 40 + b'"')) == 10
    assert seen(frame, frame + frame) == 3


def test_what_is_no_stream_is_measured_by_its_size():
    assert seen(b"x" * 40) == 10


def test_what_broke_off_stays_seen():
    watching = Seen()
    watching.feed(event("a"))
    watching.fail(ConnectionError())

    assert watching.tokens == 1


CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "body", "most"),
    [
        (CHAT, {"max_tokens": 5}, 5),
        (CHAT, {"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ("/v1/responses", {"max_output_tokens": 9}, 9),
        ("/m:generateContent", {"generationConfig": {"maxOutputTokens": 11}}, 11),
        ("/m:generateContent", {"generation_config": {"max_output_tokens": 11, "candidate_count": 2}}, 22),
        ("/m:generateContent", {"max_tokens": 1}, 100),
        ("/api/chat", {"options": {"num_predict": 11}, "max_tokens": 1}, 11),
        ("/model/m/converse-stream", {"inferenceConfig": {"maxTokens": 11}}, 11),
        ("/v2/chat", {"max_tokens": 11}, 11),
        (CHAT, {"max_tokens": 5, "n": 3}, 15),
        ("/v1/completions", {"max_tokens": 5, "prompt": ["a", "b"]}, 10),
        ("/v1/completions", {"max_tokens": 5, "prompt": [1, 2]}, 5),
        (CHAT, {}, 100),
        (CHAT, {"max_tokens": None}, 100),
        (CHAT, {"max_tokens": -1, "n": True}, 100),
        (CHAT, {"max_tokens": 1e6}, 100),
        (CHAT, {"metadata": {"max_tokens": 1}}, 100),
        (CHAT, {"maxOutputTokens": 1, "max_output_tokens": 1}, 100),
    ],
)
def test_the_limit_of_output_is_what_the_request_says_itself(path, body, most):
    assert output_limit(orjson.dumps(body), 100, path) == most


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_request_has_no_limit_of_its_own(body):
    assert output_limit(body, 100, CHAT) == 100


def test_a_quick_look_finds_the_largest_limit():
    assert quick_limit(b'{"max_tokens": 5, "x": {"max_output_tokens":70}}', 100) == 70
    assert quick_limit(b'{"max_tokens": 1e6}', 100) == 100
    assert quick_limit(b'{"text": "\\"max_tokens\\": 900"}', 100) == 100


COUNT = st.integers(0, 10**6)
PRICED = ("input", "output", "cache_write", "reasoning")
PRICES = st.builds(PriceConfig, **dict.fromkeys(PRICED, st.integers(0, 900)))


@given(st.builds(Usage, COUNT, st.just(0), COUNT, COUNT, COUNT), PRICES)
def test_no_usage_within_the_bounds_costs_more_than_the_ceiling(usage, prices):
    rates = priced_as(prices, "test").rates
    bound = ceiling(usage.input + usage.cache_write, usage.output + usage.reasoning, rates)

    assert price_usage(usage, rates) <= price_usage(bound, rates)
    assert bound.total == usage.total
