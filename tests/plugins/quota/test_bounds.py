import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmproxy_quota.bounds import Bound, bound_of
from llmproxy_quota.config import QuotaConfig

CONFIG = QuotaConfig(store="s", limits=(), output=100, attachment=5000, context=70_000)
CHAT = "/v1/chat/completions"


def bounded(path: str, body: bytes) -> Bound:
    """Bound a POST that uses something."""
    found = bound_of(path, body, CONFIG)
    assert found is not None
    return found


@given(st.text(max_size=200))
def test_the_bytes_of_a_text_bound_its_tokens(text: str) -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": text}]})

    assert bounded(CHAT, body).input >= len(text.encode())


@pytest.mark.parametrize(
    ("path", "more", "output"),
    [
        (CHAT, {"max_tokens": 7}, 7),
        (CHAT, {"max_tokens": 7, "max_completion_tokens": 9}, 9),
        (CHAT, {"max_tokens": 7, "n": 3}, 21),
        (CHAT, {}, 100),
        (CHAT, {"n": 2}, 200),
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
    assert bounded(path, orjson.dumps({"model": "m", **more})).output == output


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
    assert orjson.loads(bounded(path, body).body or b"") == sent


def test_a_prompt_that_speaks_of_bounds_sets_none() -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": 'Say "max_tokens": 5'}]})

    assert bounded(CHAT, body).output == 100


def test_what_no_bytes_bound_is_taken_for_a_number() -> None:
    plain = bounded(CHAT, b'{"max_tokens": 1}').input
    image = orjson.dumps(
        {"max_tokens": 1, "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}
    )
    kept = b'{"max_tokens": 1, "previous_response_id": "r"}'

    assert bounded(CHAT, image).input >= plain + 5000
    assert bounded("/v1/responses", kept).input >= plain + 70_000


def test_what_is_no_json_is_in_doubt() -> None:
    bound = bounded(CHAT, b"{" * 500)

    assert (bound.input, bound.output, bound.body) == (1524, 100, None)
    assert bound.doubt


def test_names_that_are_written_in_escapes_are_seen() -> None:
    plain = bounded(CHAT, b'{"max_tokens": 1}').input
    body = rb'{"max_tokens": 1, "previous\u005fresponse\u005fid": "r", "content": [{"image\u005furl": "http://x"}]}'

    assert bounded(CHAT, body).input >= plain + 75_000


def test_tools_that_the_provider_runs_are_taken_for_a_number() -> None:
    plain = bounded(CHAT, b'{"max_tokens": 1}').input

    for tool in (b'{"type": "web_search_20250305"}', b'{"googleSearch": {}}', b'{"type":"mcp"}'):
        assert bounded("/v1/messages", b'{"max_tokens": 1, "tools": [%b]}' % tool).input >= plain + 70_000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/x"),
        ("DELETE", "/v1/responses/r"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1beta/models/x:countTokens"),
        ("POST", "/v1/files"),
        ("POST", "/v1/responses/r/cancel"),
    ],
)
def test_what_uses_nothing_takes_nothing(method: str, path: str) -> None:
    assert bound_of(path, b"", CONFIG, method) is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/batches",
        "/v1/messages/batches",
        "/v1/threads/t/runs",
        "/v1/threads/t/messages",
        "/v1/chat/completions/",
        "/v1/chat/completion%73",
        "/v1/embeddings/jobs",
        "/v1/responses/compact",
    ],
)
def test_a_call_that_nobody_knows_is_in_doubt_unless_it_is_assumed(path: str) -> None:
    told = bounded(path, b'{"model": "m", "max_tokens": 1}')
    assumed = bound_of(path, b'{"model": "m", "max_tokens": 1}', replace(CONFIG, unbounded="assume"))

    assert told is not None
    assert told.doubt
    assert assumed is not None
    assert not assumed.doubt
    assert (assumed.input >= 70_000, assumed.output) == (True, 100)


def test_a_websocket_is_in_doubt() -> None:
    bound = bound_of("/v1/responses", b"", CONFIG, "GET", upgraded=True)

    assert bound is not None
    assert bound.doubt


def test_each_picture_counts() -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n7\r\n--b--'

    assert bounded("/v1/images/generations", b'{"n": 3}').output == 15_000
    assert bounded("/v1/images/edits", form).output == 35_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"n": "10"}',
        b'{"n": 10.0}',
        b'{"n": 10, "n": 1}',
        b'{"N": 10}',
        b'{"parameters": {"sampleCount": "4"}}',
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n 10\r\n--b--',
        b'--b\r\nContent-Disposition: form-data; name="N"\r\n\r\n10\r\n--b--',
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n10e1\r\n--b--',
    ],
)
def test_a_count_of_pictures_that_servers_may_read_otherwise_is_no_bound(body: bytes) -> None:
    assert bounded("/v1/images/generations", body).doubt


def test_pictures_are_counted_where_google_says_it() -> None:
    path = "/v1/models/imagen:predict"

    assert bounded(path, b'{"instances": [], "parameters": {"sampleCount": 4}}').output == 20_000
    assert bounded(path, b'{"n": null, "parameters": null}').output == 5000
    assert not bounded(path, b'{"n": null, "parameters": null}').doubt


def test_a_query_counts_with_each_text_that_it_is_compared_with() -> None:
    plain = orjson.dumps({"model": "m", "query": "q" * 1000, "documents": ["x"]})
    many = orjson.dumps({"model": "m", "query": "q" * 1000, "documents": ["x"] * 500})

    assert bounded("/v1/rerank", plain).input >= 1000
    assert bounded("/v1/rerank", many).input >= 500 * 1000
    assert (
        bounded("/v1/score", many.replace(b"query", b"text_1").replace(b"documents", b"text_2")).input
        >= 500_000
    )
    assert bounded("/v1/embeddings", b'{"input": ["a", "b"]}').input < 1100
