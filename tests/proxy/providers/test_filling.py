from __future__ import annotations

from typing import Any

import pytest

from llmproxy.providers.filling import fill_upstreams
from llmproxy.providers.table import Provider
from llmproxy.references import Interpolation

ENVIRON = {"GROQ_API_KEY": "sk", "MISTRAL_API_KEY": "sk", "DEEPSEEK_API_KEY": "sk"}


def filled(section: object, name: str = "it", **environ: str) -> tuple[Any, list[str]]:
    interpolation = Interpolation(ENVIRON | environ, str)
    tree = fill_upstreams({"upstreams": {name: section}}, interpolation, ENVIRON | environ)
    assert isinstance(tree, dict)
    return tree["upstreams"][name], [str(error) for error in interpolation.errors]


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("groq", None),
        ("groq", {}),
        ("it", "groq"),
        ("it", {"provider": "groq"}),
        ("groq", {"dialect": "openai"}),
    ],
)
def test_a_provider_is_named_in_five_ways(name: str, section: object) -> None:
    upstream, mistakes = filled(section, name)

    assert mistakes == []
    assert upstream["provider"] == "groq"
    assert upstream["base_url"] == "https://api.groq.com/openai/v1"
    assert upstream["dialect"] == "openai"
    assert (upstream["api_key"], upstream["api_key"].reference) == ("sk", "${env:GROQ_API_KEY}")
    assert upstream["quirks"]["max_tokens"] == "max_completion_tokens"


def test_further_keys_are_taken_as_far_as_they_are_numbered_through() -> None:
    upstream, mistakes = filled("groq", GROQ_API_KEY_2="sk-2", GROQ_API_KEY_3="sk-3", GROQ_API_KEY_5="sk-5")

    assert mistakes == []
    assert upstream["api_key"] == ["sk", "sk-2", "sk-3"]


def test_what_is_written_stays() -> None:
    written = {"provider": "mistral", "base_url": "http://h", "api_key": "k", "quirks": {"tool_ids": "any"}}

    upstream, mistakes = filled(written)

    assert mistakes == []
    assert (upstream["base_url"], upstream["api_key"]) == ("http://h", "k")
    assert upstream["quirks"]["tool_ids"] == "any"
    assert upstream["quirks"]["required"] == "any"


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "https://api.openai.com/v1/"])
def test_an_address_of_the_table_that_is_written_out_is_the_providers(address: str) -> None:
    written = {"base_url": address, "dialect": "openai", "quirks": {"max_tokens": "max_tokens"}}

    upstream, mistakes = filled(written)

    assert mistakes == []
    assert (upstream["provider"], upstream["base_url"]) == ("openai", address)
    assert upstream["quirks"]["responses"] is True
    assert upstream["quirks"]["max_tokens"] == "max_tokens"
    assert "api_key" not in upstream


@pytest.mark.parametrize(
    "written",
    [
        {"base_url": "https://api.openai.com/v1", "dialect": "http"},
        {"base_url": "https://api.openai.com/v1"},
        {"base_url": "https://llm.example/v1", "dialect": "openai"},
        {"base_url": "http://127.0.0.1/v1", "dialect": "openai"},
        {"base_url": "https://api.openai.com/v1", "dialect": "openai", "quirks": 3},
        {"base_url": 3, "dialect": "openai"},
    ],
)
def test_another_address_is_nobodys(written: dict[str, Any]) -> None:
    assert filled(written) == (written, [])


def test_no_key_is_one_too() -> None:
    assert filled({"provider": "groq", "api_key": None})[0]["api_key"] is None


def test_another_dialect_of_the_provider_has_its_own_address_and_no_quirks() -> None:
    upstream, mistakes = filled({"provider": "deepseek", "dialect": "anthropic"})

    assert mistakes == []
    assert upstream["base_url"] == "https://api.deepseek.com/anthropic/v1"
    assert "quirks" not in upstream


def test_the_responses_api_is_where_chat_is() -> None:
    upstream, mistakes = filled({"provider": "groq", "dialect": "openai-responses"})

    assert mistakes == []
    assert upstream["base_url"] == "https://api.groq.com/openai/v1"
    assert upstream["quirks"]["responses"] is True
    assert filled({"provider": "mistral", "dialect": "openai-responses"})[1] != []


def test_another_name_of_a_provider_is_its_own_name_afterwards() -> None:
    assert filled("google", GEMINI_API_KEY="g")[0]["provider"] == "gemini"


def test_a_server_of_ones_own_needs_no_key_and_takes_one() -> None:
    assert "api_key" not in filled("vllm")[0]
    assert filled("vllm", VLLM_API_KEY="v")[0]["api_key"] == "v"


@pytest.mark.parametrize(
    ("name", "section", "path"),
    [
        ("it", "grog", "upstreams.it"),
        ("grog", None, "upstreams.grog"),
        ("it", {"provider": "grog"}, "upstreams.it.provider"),
    ],
)
def test_a_provider_that_is_not_known_is_told_with_the_nearest(name: str, section: object, path: str) -> None:
    told = f"{path}: unknown provider \"grog\" (llmproxy providers lists them); did you mean 'groq'?"

    assert filled(section, name)[1] == [told]


def test_a_url_where_a_provider_is_named_is_told_how_it_is_written() -> None:
    [told] = filled("http://127.0.0.1:9000", "shop")[1]

    assert told.startswith("upstreams.shop: a URL is no provider's name; write {base_url: URL}")


@pytest.mark.parametrize(
    ("section", "mistake"),
    [
        ({"provider": "xai"}, 'upstreams.it.api_key: environment variable "XAI_API_KEY" is not set'),
        (
            {"provider": "modal", "api_key": None},
            "upstreams.it.base_url: missing; an account of Modal has no known address",
        ),
        (
            {"provider": "groq", "dialect": "gemini"},
            'upstreams.it.base_url: missing; dialect "gemini" of Groq has no known address',
        ),
    ],
)
def test_a_provider_that_cannot_be_filled_in_says_why(section: object, mistake: str) -> None:
    assert filled(section)[1] == [mistake]


@pytest.mark.parametrize(
    "section", [{"base_url": "https://h"}, {"timeouts": {}}, 5, [], {"provider": 5}, {"provider": None}]
)
def test_what_names_no_provider_stays_as_it_is(section: object) -> None:
    assert filled(section) == (section, [])


@pytest.mark.parametrize("tree", [None, [], {}, {"upstreams": 5}, {"upstreams": None}])
def test_a_tree_without_upstreams_stays_as_it_is(tree: object) -> None:
    assert fill_upstreams(tree, Interpolation({}, str), {}) == tree


SIGNED = Provider(
    name="cloud",
    title="Cloud",
    docs="",
    keys=("CLOUD_KEY",),
    base_url="https://c",
    auth="aws",
    auth_keys=("ID",),
)


@pytest.mark.parametrize(
    ("section", "environ", "given"),
    [
        ({}, {}, {"auth": "aws"}),
        ({}, {"CLOUD_KEY": "k"}, {"api_key": "k"}),
        ({"auth": {"aws": {"region": "eu"}}}, {"CLOUD_KEY": "k"}, {"auth": {"aws": {"region": "eu"}}}),
        ({"api_key": "own"}, {}, {"api_key": "own"}),
    ],
)
def test_a_provider_whose_requests_are_signed_is_given_its_authorizer_where_no_key_is_set(
    monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], environ: dict[str, str], given: dict[str, Any]
) -> None:
    monkeypatch.setattr("llmproxy.providers.table.find_provider", lambda name: SIGNED)

    upstream, mistakes = filled({"provider": "cloud", **section}, **environ)

    assert mistakes == []
    assert {key: upstream.get(key) for key in ("auth", "api_key") if key in upstream} == given


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global"),
        (
            {"GOOGLE_CLOUD_LOCATION": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
        ),
        (
            {"GOOGLE_CLOUD_LOCATION": "eu"},
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu",
        ),
    ],
)
def test_a_host_that_goes_by_another_name_is_called_by_it(environ: dict[str, str], address: str) -> None:
    upstream, mistakes = filled({"provider": "vertex"}, GOOGLE_CLOUD_PROJECT="p", **environ)

    assert mistakes == []
    assert (upstream["base_url"], upstream["auth"]) == (address, "google")


@pytest.mark.parametrize(
    ("environ", "complete"), [({}, False), ({"ID": "a"}, True), ({"CLOUD_KEY": "k"}, True)]
)
def test_such_a_provider_is_served_without_a_file_where_its_authorizer_will_find_credentials(
    environ: dict[str, str], complete: bool
) -> None:
    assert SIGNED.is_complete(environ) is complete
