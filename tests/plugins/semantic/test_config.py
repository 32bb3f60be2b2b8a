import msgspec
import pytest

from llmproxy.decode import decode_struct
from llmproxy.plugin import ConfigErrors, PostgresUrl
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


def test_who_searches_is_each_worker_the_stores_server_or_a_postgres() -> None:
    url = "postgres://gateway@db.example/vectors"
    config = decode_struct(SemanticConfig, {"search": "postgres", "url": url})
    told = SemanticConfig(search="postgres", url=PostgresUrl("postgres://gateway:canary@db.example/vectors"))

    assert config.url is not None
    assert config.url.place == PostgresUrl(url).place
    assert msgspec.convert({"search": "store"}, SemanticConfig).search == "store"
    assert SemanticConfig().search == "worker"
    assert "canary" not in repr(told)


@pytest.mark.parametrize(
    "wrong", [{"search": "postgres"}, {"search": "store", "url": "postgres://db.example/vectors"}]
)
def test_a_postgres_that_is_not_named_or_not_asked_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigErrors, match="url"):
        decode_struct(SemanticConfig, wrong)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"delta": 0}, "delta"),
        ({"delta": 0.6}, "delta"),
        ({"coin": 0}, "coin"),
        ({"resting": 1.5}, "resting"),
        ({"hit_limit": 0}, "hit_limit"),
        ({"delta": 0.01, "window": 299}, "window"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(wrong: dict[str, float], what: str) -> None:
    with pytest.raises(ConfigErrors, match=what):
        decode_struct(SemanticConfig, {"policy": "verified", "verified": wrong})


def test_a_promise_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="verified"):
        decode_struct(SemanticConfig, {"policy": "strict", "verified": {}})
