"""Vectors of an upstream's model for a command."""

from __future__ import annotations

import pytest

from llmproxy.testing import FakeUpstream
from llmproxy_semantic.canonical import NAME
from llmproxy_semantic.embedder import TooLong
from llmproxy_semantic.embedding import EmbeddingFault
from llmproxy_semantic.vectoring import Vectors, vectors_of

pytest.importorskip("numpy")


def test_a_text_that_was_not_asked_for_has_no_vector() -> None:
    with pytest.raises(TooLong):
        Vectors("x", {}).embed("a")


async def test_each_text_is_asked_for_once_and_known_then() -> None:
    async with FakeUpstream() as upstream:
        for _ in range(2):
            upstream.reply(json={"data": [{"embedding": [3, 4]}]})
        found = await vectors_of(["a", "b", "a"], "main", "small", {"base_url": upstream.url})

        assert found.id == f"main/small/{NAME}"
        assert found.dims == 2
        assert found.embed("a").tolist() == pytest.approx([0.6, 0.8])
        assert [request.path for request in upstream.requests] == ["/embeddings"] * 2


async def test_the_first_failure_ends_it() -> None:
    async with FakeUpstream() as upstream:
        upstream.reply(json={"error": "no"}, status=400)

        with pytest.raises(EmbeddingFault, match="answers 400"):
            await vectors_of(["a"], "main", "small", {"base_url": upstream.url})
