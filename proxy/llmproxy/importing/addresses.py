"""Where a LiteLLM deployment is: its provider's name there, and the address that it adds its own paths to."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from llmproxy.providers.table import Provider, find_provider

#: Providers that any server of OpenAI's dialect may stand behind.
COMPATIBLE: Final = frozenset(
    {
        "openai",
        "custom_openai",
        "openai_like",
        "text-completion-openai",
        "aiohttp_openai",
        "litellm_proxy",
        "xinference",
        "llamafile",
        "oobabooga",
        "infinity",
        "custom",
    }
)

#: LiteLLM's names for providers that the table knows by another one.
_OTHERWISE: Final = {
    "text-completion-openai": "openai",
    "azure_text": "azure",
    "anthropic_text": "anthropic",
    "ollama_chat": "ollama",
    "lm_studio": "lmstudio",
    "cohere": "cohere",
    "dashscope": "alibaba",
    "codestral": "mistral",
    "cloudflare": "cloudflare",
}

#: What cannot be reached yet, and why.
UNREACHED: Final = {
    "bedrock": "write an upstream with provider: bedrock (auth: aws signs)",
    "bedrock_converse": "write an upstream with provider: bedrock (auth: aws signs)",
    "sagemaker": "write an upstream with dialect: http and auth: aws",
    "sagemaker_chat": "write an upstream with dialect: http and auth: aws",
    "vertex_ai": "write an upstream with provider: vertex (auth: google)",
    "vertex_ai_beta": "write an upstream with provider: vertex (auth: google)",
    "watsonx": "tokens of IBM Cloud are not fetched yet",
}

#: Sub-paths that LiteLLM writes between a provider and a model, which tell it how to call.
_MANNERS: Final = ("responses/", "chat/", "o_series/", "gpt5_series/", "o1_series/")

#: Whose model a name without a provider is.
_GUESSES: Final = (
    (
        re.compile(r"(gpt-|o[1-9](-|$)|chatgpt-|text-embedding-|dall-e|whisper-|tts-|omni-|davinci|babbage)"),
        "openai",
    ),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(command|embed-(english|multilingual)|rerank-)"), "cohere"),
    (re.compile(r"deepseek-(chat|reasoner|coder)"), "deepseek"),
    (re.compile(r"gemini-"), "vertex_ai"),  # as LiteLLM takes it
)

#: What an address of Azure may go on with; the lookbehind spares hosts whose name begins with openai.
_AZURE_PATH: Final = re.compile(r"(?<=[^/:])/openai(/.*)?$")

_OPENAI_HOST: Final = "api.openai.com"


class Named(NamedTuple):
    """A deployment's model, the provider as LiteLLM calls it ("" if nothing tells), and the table's row of it."""

    prefix: str
    model: str
    row: Provider | None


def read_model(model: str, provider: str = "") -> Named:
    """Split what LiteLLM calls a model; `provider` is what else says whose it is."""
    prefix, slash, rest = model.partition("/")
    if provider and prefix != provider:
        prefix, rest = provider, model
    elif not slash or not (_is_known(prefix) or provider):
        prefix, rest = _guess(model), model
    for manner in _MANNERS:
        rest = rest.removeprefix(manner) if prefix in {"openai", "azure"} else rest
    return Named(prefix, rest, find_provider(_OTHERWISE.get(prefix, prefix)))


def _is_known(prefix: str) -> bool:
    return (
        prefix in COMPATIBLE
        or prefix in UNREACHED
        or find_provider(_OTHERWISE.get(prefix, prefix)) is not None
    )


def _guess(model: str) -> str:
    return next((provider for pattern, provider in _GUESSES if pattern.match(model)), "")


def base_url(named: Named, address: str) -> str:
    """Return an address as an upstream's base URL: LiteLLM and this gateway add different paths to it."""
    address = address.rstrip("/")
    plain = not urlsplit(address).path and not address.startswith("$")
    if named.prefix in {"azure", "azure_text"}:
        return f"{_AZURE_PATH.sub('', address)}/openai/v1"
    if named.prefix == "azure_ai":
        return (
            f"{address.removesuffix('/models')}/openai/v1"
            if plain or address.endswith("/models")
            else address
        )
    if named.row is not None and named.row.dialect == "anthropic":
        address = address.removesuffix("/messages")
        return address if address.endswith("/v1") else f"{address}/v1"
    if named.prefix in {"ollama", "ollama_chat", "huggingface"} and not address.endswith("/v1"):
        return f"{address}/v1"
    return address


def is_address(address: str) -> bool:
    """Whether this can be an upstream's base URL: a reference, or a URL with a host and no query or user."""
    if address.startswith("${env:"):
        return True
    try:
        parts = urlsplit(address)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    odd = re.search(r"[\x00-\x20\x7f<>]", address) or parts.query or parts.fragment or "@" in parts.netloc
    return sound and not odd


def is_openai_itself(address: str) -> bool:
    """Whether an address of OpenAI's dialect is OpenAI's own."""
    return urlsplit(address).hostname == _OPENAI_HOST


def name_of(address: str, named: Named) -> str:
    """Return a name for an upstream that is no provider's own: by its host or its variable."""
    reference = re.match(r"\$\{env:(\w+)\}", address)
    host = reference[1] if reference else urlsplit(address).netloc
    if named.row is not None and named.prefix not in COMPATIBLE:
        host = named.row.name
    return re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-") or "upstream"
