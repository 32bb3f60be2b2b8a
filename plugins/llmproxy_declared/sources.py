"""What templates may refer to, and the templates themselves, read once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from llmproxy.plugin import ConfigError, Reference, TextTemplate, ValueTemplate
from llmproxy_declared.suggesting import near

#: Why something of a request is lost.
NO_PLACE: Final = "the declared request has no place for it"

#: Fields of a request that are put in as they are, under their canonical names.
PLAIN: Final = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "n",
    "verbosity",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
)
_MODEL: Final = frozenset({"model", "model_path"})
#: Of a conversation.
GENERATE: Final = _MODEL | frozenset(PLAIN) | frozenset(
    {
        "prompt",
        "system",
        "messages",
        "history",
        "last_user",
        "images",
        "tools",
        "tool_choice",
        "tool_name",
        "parallel_tool_calls",
        "stop",
        "format",
        "schema",
        "schema_name",
        "effort",
        "thinking",
        "thinking_budget",
        "stream",
    }
)  # fmt: skip
#: Of texts that become vectors.
EMBED: Final = _MODEL | frozenset({"inputs", "input", "dimensions", "task", "title", "user"})
#: Of documents that are ranked.
RERANK: Final = _MODEL | frozenset({"query", "documents", "top_n", "document_tokens", "truncate", "user"})
#: Of one message, one tool and so on.
MESSAGE: Final = frozenset({"role", "text", "content", "tool_calls", "name"})
TOOL: Final = frozenset({"name", "description", "parameters", "strict"})
TOOL_CALL: Final = frozenset({"id", "name", "arguments", "input"})
TOOL_RESULT: Final = frozenset({"role", "id", "name", "text", "is_error"})
TEXT: Final = frozenset({"text"})
IMAGE: Final = frozenset({"url", "data", "media_type"})
EACH_INPUT: Final = frozenset({"input", "task", "title"})

#: Characters of a text that may be a secret.
_SHORTEST: Final = 4
#: What is no text, and so can only stand alone.
_NO_TEXTS: Final = frozenset(
    {"messages", "history", "images", "tools", "logit_bias", "metadata", "schema", "tool_calls", "parameters"}
)


def text_template(text: str, key: str, known: Collection[str]) -> TextTemplate:
    """Read a text that may refer to `known` values.

    Raises:
        ConfigError: it cannot be read, or refers to something else.
    """
    try:
        template = TextTemplate(text if type(text) is str else _literal(text))
    except ValueError as fault:
        raise ConfigError(key, str(fault)) from None
    _check(template, key, known)
    return template


def value_template(value: Any, key: str, known: Collection[str]) -> ValueTemplate:
    """Read a JSON value likewise; members that lead nowhere are left out."""
    for place, text in _texts(value, key):
        text_template(text, place, known)
    try:
        return ValueTemplate(value, sparse=True)
    except ValueError as fault:
        raise ConfigError(key, str(fault)) from None


def references_in(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield each text that was put in from the environment or a file, as requests may have it, with its reference.

    The shortest are left out: they may stand in any text.
    """
    for _, text in _texts(tree, ""):
        reference = getattr(text, "reference", None)
        if reference is not None and len(value := str.__str__(text)) >= _SHORTEST:
            for written in (value, quote(value, safe=""), orjson.dumps(value)[1:-1].decode()):
                yield written, reference


def sources_of(templates: Collection[TextTemplate | ValueTemplate | None]) -> frozenset[str]:
    """Return what templates refer to."""
    return frozenset(
        reference.source
        for template in templates
        if template is not None
        for reference in template.references()
    )


def _literal(text: str) -> str:
    """Return text that was put in from the environment so that it stands for itself."""
    return str.__str__(text).replace("{", "{{").replace("}", "}}")


def _check(template: TextTemplate, key: str, known: Collection[str]) -> None:
    for reference in template.references():
        if reference.source not in known:
            message = f"{{{reference.source}}} is not known here (known: {', '.join(sorted(known))})"
            raise ConfigError(key, message, near(reference.source, known))
        if template.whole is not reference and _is_no_text(reference):
            message = f"{{{reference.source}}} is no text; it can only stand alone"
            raise ConfigError(key, message)


def _is_no_text(reference: Reference) -> bool:
    return reference.source in _NO_TEXTS and not reference.path


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield each text in a value with its key path."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{key}[{index}]")
