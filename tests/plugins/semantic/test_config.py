import msgspec
import pytest

from llmproxy_semantic.config import SemanticConfig, SemanticRoute, UpstreamEmbedder


def test_nothing_need_be_said() -> None:
    assert msgspec.convert({}, SemanticConfig) == SemanticConfig()
    assert SemanticConfig().policy == "canonical"
    assert msgspec.convert({}, SemanticRoute).policy is None


def test_a_policy_that_there_is_not_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="policy"):
        msgspec.convert({"policy": "bold"}, SemanticRoute)


def test_the_embedder_is_the_gateways_own_or_an_upstreams() -> None:
    config = msgspec.convert(
        {"embedder": {"upstream": "openai", "model": "text-embedding-3-small"}}, SemanticConfig
    )

    assert msgspec.convert({"embedder": "minilm"}, SemanticConfig).embedder == "minilm"
    assert config.embedder == UpstreamEmbedder("openai", "text-embedding-3-small")


@pytest.mark.parametrize("embedder", ["bert", {"upstream": "openai"}, 3])
def test_an_embedder_that_there_is_not_is_refused(embedder: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="embedder"):
        msgspec.convert({"embedder": embedder}, SemanticConfig)
