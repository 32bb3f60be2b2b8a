from __future__ import annotations

import pytest

from llmproxy.testing import make_exchange
from llmproxy_openai.calls import LOSS_NAMES, call_of, edits_as_xai, is_responses, manner_of


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt/chat/completions", "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/rerank", "rerank"),
        ("/v1/responses", "responses"),
        ("/v1/responses/input_tokens", "responses"),
        ("/v1/responses/resp_1", "responses"),
        ("/v1/completions", ""),
        ("/v1/models", ""),
    ],
)
def test_a_path_is_one_call(path: str, call: str) -> None:
    assert call_of(path) == call
    assert is_responses(path) == (call == "responses")


def test_losses_are_named_by_paths() -> None:
    assert all(name and " " not in name for name in LOSS_NAMES.values())


@pytest.mark.parametrize(
    ("body", "manner"),
    [
        (b'{"query":"q","top_k":null,"truncation":true}', "top_k"),
        (b'{"query":"q","truncation" : true}', "top_k"),
        (b'{"query":"q","top_n":3}', "top_n"),
        (b'{"query":"top_k","documents":["\\"top_k\\": 1"]}', "top_n"),
        (b"", "top_n"),
    ],
)
def test_a_ranking_is_asked_for_in_one_of_two_manners(body: bytes, manner: str) -> None:
    assert manner_of(body) == manner


@pytest.mark.parametrize(
    ("kind", "body", "theirs"),
    [
        ("application/json", b'{"images":[{"type":"image_url","url":"https://e.com"}]}', True),
        ("application/json", b'{"images":[{"image_url" : "https://e.com"}]}', False),
        ("multipart/form-data; boundary=x", b"", False),
    ],
)
def test_pictures_to_be_edited_are_named_as_openai_or_xai_does(kind: str, body: bytes, theirs: bool) -> None:
    request = make_exchange(path="/v1/images/edits", headers={"Content-Type": kind}).request

    assert edits_as_xai(request, body) is theirs
