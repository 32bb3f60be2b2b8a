from __future__ import annotations

import pytest

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadRequest, Usage
from llmproxy_ollama.answers import Stamp
from llmproxy_ollama.embeddings import decode_embed, decode_one, read_vectors, write_embed, write_vectors

STAMP = Stamp("public", "", 10.0)


def lost(decode, **told):
    losses = Losses()
    decode({"model": "m", **told}, losses)
    return [loss.field for loss in losses]


def test_one_text_or_several_are_read():
    assert decode_embed({"model": "m", "input": "a"}, Losses()).inputs == ("a",)
    several = decode_embed({"model": "m", "input": ["a", "b"], "dimensions": 8, "truncate": True}, Losses())
    assert (several.inputs, several.dimensions) == (("a", "b"), 8)


def test_the_call_of_old_takes_one():
    assert decode_one({"model": "m", "prompt": "a"}, Losses()) == EmbedRequest(
        model="m", inputs=("a",), single=True
    )


def test_what_is_for_the_server_alone_is_reported():
    assert lost(decode_embed, input="a", truncate=False, keep_alive=3) == ["keep_alive", "truncate"]
    assert lost(decode_one, prompt="a", options={"num_ctx": 1}) == ["options"]


@pytest.mark.parametrize("told", [{}, {"input": 1}, {"input": [1]}])
def test_what_is_broken_is_refused(told):
    with pytest.raises(BadRequest):
        decode_embed(told, Losses())


def test_a_request_is_written():
    losses = Losses()
    body = write_embed(EmbedRequest(model="m", inputs=("a",), dimensions=8, user="u"), "nomic", losses)

    assert body == {"model": "nomic", "input": ["a"], "dimensions": 8}
    assert [loss.field for loss in losses] == ["user"]


def test_tokens_cannot_be_embedded():
    with pytest.raises(BadRequest, match="token ids"):
        write_embed(EmbedRequest(model="m", inputs=((1, 2),)), "m", Losses())


def test_vectors_are_read_and_written_back():
    answer = read_vectors({"model": "m", "embeddings": [[1, 0.5]], "prompt_eval_count": 3})

    assert answer == EmbedAnswer(model="m", vectors=((1.0, 0.5),), usage=Usage(3))
    assert write_vectors(answer, STAMP, 11.0, single=False) == {
        "model": "public",
        "embeddings": [[1.0, 0.5]],
        "total_duration": 1_000_000_000,
        "load_duration": 0,
        "prompt_eval_count": 3,
    }
    assert write_vectors(answer, STAMP, 11.0, single=True) == {"embedding": [1.0, 0.5]}
    assert write_vectors(EmbedAnswer(), STAMP, 11.0, single=True) == {"embedding": []}


def test_one_vector_is_one_of_several():
    assert read_vectors({"embedding": [1]}).vectors == ((1.0,),)


@pytest.mark.parametrize("told", [{"embeddings": 1}, {"embeddings": [1]}, {"embedding": ["x"]}])
def test_what_is_no_vector_is_not_read(told):
    with pytest.raises(ValueError, match="list of numbers"):
        read_vectors(told)
