import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_quota.bounds import bound_of
from llmproxy_quota.config import QuotaConfig

CONFIG = QuotaConfig(store="s", limits=(), output=100, attachment=5000, context=70_000)
CHAT = "/v1/chat/completions"


@given(st.text(max_size=200))
def test_the_bytes_of_a_text_bound_its_tokens(text: str) -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": text}]})

    assert bound_of(CHAT, body, CONFIG).input >= len(text.encode())


@pytest.mark.parametrize(
    ("path", "more", "output"),
    [
        (CHAT, {"max_tokens": 7}, 7),
        (CHAT, {"max_tokens": 7, "max_completion_tokens": 9}, 9),
        (CHAT, {"max_tokens": 7, "n": 3}, 21),
        (CHAT, {}, 100),
        (CHAT, {"n": 2}, 200),
        (CHAT, {"n": "x"}, 100),
        ("/v1/responses", {"max_output_tokens": 8}, 8),
        ("/v1/messages", {"max_tokens": 8}, 8),
        (
            "/v1beta/models/x:generateContent",
            {"generationConfig": {"maxOutputTokens": 6, "candidateCount": 2}},
            12,
        ),
        ("/v1/embeddings", {"input": "x"}, 0),
    ],
)
def test_the_answer_is_bounded_as_the_request_says(path: str, more: dict[str, object], output: int) -> None:
    assert bound_of(path, orjson.dumps({"model": "m", **more}), CONFIG).output == output


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        (CHAT, b'{"model": "m"}', {"model": "m", "max_completion_tokens": 100}),
        (CHAT, b'{"max_completion_tokens": null}', {"max_completion_tokens": 100}),
        ("/v1/completions", b'{"model": "m"}', {"model": "m", "max_tokens": 100}),
        ("/v1/responses", b'{"model": "m"}', {"model": "m", "max_output_tokens": 100}),
        ("/v1/messages", b'{"model": "m"}', {"model": "m", "max_tokens": 100}),
        ("/m:generateContent", b'{"a": 1}', {"a": 1, "generationConfig": {"maxOutputTokens": 100}}),
        (
            "/m:streamGenerateContent",
            b'{"generation_config": {"topK": 1}}',
            {"generation_config": {"topK": 1, "maxOutputTokens": 100}},
        ),
    ],
)
def test_a_request_without_a_bound_gets_one(path: str, body: bytes, sent: dict[str, object]) -> None:
    assert orjson.loads(bound_of(path, body, CONFIG).body or b"") == sent


def test_a_bound_that_is_said_twice_counts_as_the_larger() -> None:
    body = b'{"max_tokens": 9, "max_tokens": 7}'

    assert bound_of(CHAT, body, CONFIG).output == 9
    assert bound_of(CHAT, body, CONFIG).body is None


def test_a_prompt_that_speaks_of_bounds_sets_none() -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": 'Say "max_tokens": 5'}]})

    assert bound_of(CHAT, body, CONFIG).output == 100


def test_what_no_bytes_bound_is_taken_for_a_number() -> None:
    plain = bound_of(CHAT, b'{"max_tokens": 1}', CONFIG).input
    image = orjson.dumps(
        {"max_tokens": 1, "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}
    )
    kept = b'{"max_tokens": 1, "previous_response_id": "r"}'

    assert bound_of(CHAT, image, CONFIG).input >= plain + 5000
    assert bound_of("/v1/responses", kept, CONFIG).input >= plain + 70_000


def test_what_is_no_json_is_bounded_by_its_bytes() -> None:
    bound = bound_of(CHAT, b"{" * 500, CONFIG)

    assert (bound.input, bound.output, bound.body) == (1524, 100, None)
