"""The table of providers holds together, and is where the recorded traffic went."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import pytest

from llmproxy.config import decode
from llmproxy.providers.table import Provider, by_name, find_provider, named, providers
from llmproxy.quirks import Quirks
from llmproxy.settings import UpstreamConfig

ROWS = providers()


def name_of(row: Provider) -> str:
    return row.name


def test_there_are_sixty_providers_and_more() -> None:
    assert len(ROWS) >= 60


def test_the_rows_stand_in_order_and_no_name_means_two() -> None:
    names = [row.name for row in ROWS]
    every = Counter(name for row in ROWS for name in (row.name, *row.names))

    assert names == sorted(names)
    assert [name for name, count in every.items() if count > 1] == []
    assert len(by_name()) == len(every)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_row_makes_an_upstream(row: Provider) -> None:
    section = (
        {"provider": row.name} if row.base_url else {"provider": row.name, "base_url": "https://mine.example"}
    )
    environ = {row.keys[0]: "sk", "AZURE_OPENAI_ENDPOINT": "https://mine", "DATABRICKS_HOST": "https://mine"}
    environ |= {"SNOWFLAKE_ACCOUNT": "mine", "CLOUDFLARE_ACCOUNT_ID": "mine", "GOOGLE_CLOUD_PROJECT": "mine"}
    for dialect in (row.dialect, *row.also):
        tree = {"upstreams": {"it": section | {"dialect": dialect}}}

        upstream = decode(tree, environ=environ, read_file=str).upstreams["it"]

        assert (upstream.provider, upstream.dialect) == (row.name, dialect)
        assert urlsplit(upstream.base_url).hostname
        assert len(upstream.api_key) == 1


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_an_address_is_safe_and_whole(row: Provider) -> None:
    for address in filter(None, (row.base_url, *row.also.values())):
        local = address.startswith("http://127.0.0.1:")

        assert local or address.startswith(("https://", "${env:"))
        assert not address.endswith("/")
        assert local is (row.key == "optional")


def test_no_variable_brings_two_providers() -> None:
    keys = Counter(key for row in ROWS if row.by_key for key in row.keys)

    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.quirks], ids=name_of)
def test_quirks_are_of_the_openai_dialect_and_depart_from_it(row: Provider) -> None:
    usual = Quirks()
    default = {name: getattr(usual, name) for name in row.quirks}

    assert row.dialect == "openai"
    assert [name for name, value in row.quirks.items() if value == default[name]] == []


@pytest.mark.parametrize("name", ["groq", "x-ai", "Together_AI", "google"])
def test_a_provider_is_found_by_any_of_its_names(name: str) -> None:
    assert find_provider(name) is not None


def test_what_no_provider_is_called_is_not_found() -> None:
    assert find_provider("nobody") is None


def test_the_key_is_in_the_first_variable_that_is_set() -> None:
    gemini = by_name()["gemini"]

    assert gemini.key_variable({"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": "g"}) == "GOOGLE_API_KEY"
    assert gemini.key_variable({}) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"GROQ_API_KEY": "q", "GEMINI_API_KEY": ""}, ["groq"]),
        ({"AZURE_API_KEY": "z"}, []),
        ({"AZURE_API_KEY": "z", "AZURE_OPENAI_ENDPOINT": "https://mine"}, ["azure"]),
        ({"MOONSHOT_API_KEY": "m", "GITHUB_TOKEN": "t"}, ["moonshot"]),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/key.json"}, []),
        (
            {"GOOGLE_APPLICATION_CREDENTIALS": "/key.json", "GOOGLE_CLOUD_PROJECT": "p"},
            ["vertex", "vertex-anthropic"],
        ),
        ({"AWS_BEARER_TOKEN_BEDROCK": "b"}, ["bedrock"]),
    ],
)
def test_a_provider_is_named_by_an_environment_that_has_all_it_needs(
    environ: dict[str, str], expected: list[str]
) -> None:
    assert [row.name for row in named(environ)] == expected


def test_a_provider_whose_authorizer_lacks_its_package_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needing = Provider(
        name="x",
        title="",
        docs="",
        keys=(),
        base_url="https://x",
        auth="y",
        auth_keys=("K",),
        auth_needs="no.such",
    )

    assert not needing.is_complete({"K": "v"})


def test_an_upstream_without_a_provider_is_what_it_was() -> None:
    assert UpstreamConfig(base_url="https://h").provider is None


#: Where the recorded traffic of each provider went; paths without what a dialect appends.
RECORDED = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
    "xai": "https://api.x.ai/v1",
    "deepseek": "https://api.deepseek.com",
    "together": "https://api.together.xyz/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "cerebras": "https://api.cerebras.ai/v1",
    "huggingface": "https://router.huggingface.co/v1",
    "vercel": "https://ai-gateway.vercel.sh/v1",
    "zai": "https://api.z.ai/api/paas/v4",
    "zai-coding": "https://api.z.ai/api/coding/paas/v4",
    "avian": "https://api.avian.io/v1",
    "crusoe": "https://api.inference.crusoecloud.com/v1",
    "voyage": "https://api.voyageai.com/v1",
    "writer": "https://api.writer.com/v1",
    "ollama-cloud": "https://ollama.com/v1",
}


@pytest.mark.parametrize("name", RECORDED)
def test_an_address_is_where_recorded_requests_went(name: str) -> None:
    assert by_name()[name].base_url == RECORDED[name]
