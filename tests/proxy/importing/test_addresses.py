import pytest

from llmproxy.importing.addresses import base_url, is_address, is_openai_itself, name_of, read_model


@pytest.mark.parametrize(
    ("model", "prefix", "rest", "row"),
    [
        ("groq/llama-3.1-8b-instant", "groq", "llama-3.1-8b-instant", "groq"),
        ("together_ai/meta-llama/Llama-3-70b", "together_ai", "meta-llama/Llama-3-70b", "together"),
        ("openrouter/anthropic/claude-3.5-sonnet", "openrouter", "anthropic/claude-3.5-sonnet", "openrouter"),
        ("ollama_chat/llama3", "ollama_chat", "llama3", "ollama"),
        ("openai/responses/gpt-5", "openai", "gpt-5", "openai"),
        ("azure/o_series/o3", "azure", "o3", "azure"),
        ("gemini/gemini-2.5-pro", "gemini", "gemini-2.5-pro", "gemini"),
        ("fireworks_ai/accounts/f/models/x", "fireworks_ai", "accounts/f/models/x", "fireworks"),
        ("gpt-4o", "openai", "gpt-4o", "openai"),
        ("o3-mini", "openai", "o3-mini", "openai"),
        ("text-embedding-3-small", "openai", "text-embedding-3-small", "openai"),
        ("claude-opus-4-20250514", "anthropic", "claude-opus-4-20250514", "anthropic"),
        ("command-r-plus", "cohere", "command-r-plus", "cohere"),
        ("gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "vertex"),
        ("anthropic/*", "anthropic", "*", "anthropic"),
        ("some/unknown", "", "some/unknown", None),
        ("*", "", "*", None),
    ],
)
def test_a_models_provider_is_told_by_its_prefix_or_its_name(model, prefix, rest, row):
    named = read_model(model)

    assert (named.prefix, named.model) == (prefix, rest)
    assert (named.row.name if named.row else None) == row


def test_what_else_names_the_provider_counts_more():
    assert read_model("some/model", "openai")[:2] == ("openai", "some/model")
    assert read_model("openai/some/model", "openai")[:2] == ("openai", "some/model")


@pytest.mark.parametrize(
    ("model", "address", "expected"),
    [
        ("azure/d", "https://openai-eu.openai.azure.com/", "https://openai-eu.openai.azure.com/openai/v1"),
        (
            "azure/d",
            "https://x.openai.azure.com/openai/deployments/d",
            "https://x.openai.azure.com/openai/v1",
        ),
        ("azure/d", "https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
        ("azure/d", "${env:AZURE_API_BASE}", "${env:AZURE_API_BASE}/openai/v1"),
        ("azure_ai/m", "https://x.services.ai.azure.com/models", "https://x.services.ai.azure.com/openai/v1"),
        ("azure_ai/m", "https://x.inference.ai.azure.com/v1", "https://x.inference.ai.azure.com/v1"),
        ("anthropic/c", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("anthropic/c", "https://proxy.test/v1/messages", "https://proxy.test/v1"),
        ("ollama/l", "http://localhost:11434", "http://localhost:11434/v1"),
        (
            "huggingface/m",
            "https://e.endpoints.huggingface.cloud",
            "https://e.endpoints.huggingface.cloud/v1",
        ),
        ("openai/m", "http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("hosted_vllm/m", "${env:VLLM_URL}", "${env:VLLM_URL}"),
    ],
)
def test_an_address_becomes_what_an_upstream_adds_its_paths_to(model, address, expected):
    assert base_url(read_model(model), address) == expected


@pytest.mark.parametrize(
    ("address", "sound"),
    [
        ("https://api.test/v1", True),
        ("${env:BASE}", True),
        ("your-azure-api-base", False),
        ("<your-endpoint>", False),
        ("https://<your-endpoint>/v1", False),
        ("https://user:secret@api.test", False),
        ("https://api.test/v1?key=secret", False),
        ("https://[::1", False),
        ("ftp://api.test", False),
    ],
)
def test_what_is_no_base_url_is_known(address, sound):
    assert is_address(address) is sound


def test_openais_own_address_is_known():
    assert is_openai_itself("https://api.openai.com/v1")
    assert not is_openai_itself("https://api.openai.com.evil.test/v1")


@pytest.mark.parametrize(
    ("address", "model", "name"),
    [
        ("http://localhost:8000/v1", "openai/m", "localhost-8000"),
        ("${env:VLLM_URL}", "openai/m", "vllm-url"),
        ("https://x.openai.azure.com/openai/v1", "azure/d", "azure"),
        ("", "openai/m", "upstream"),
    ],
)
def test_an_upstream_is_named_by_its_provider_host_or_variable(address, model, name):
    assert name_of(address, read_model(model)) == name
