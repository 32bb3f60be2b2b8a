"""The models that may be used, as Google lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from llmproxy.plugin import BadRequest, Reply
from llmproxy_gemini.errors import error_reply
from llmproxy_gemini.paths import after_version, by_publisher

_LISTING: Final = re.compile(
    r"((?:projects/[^/]+/)?(?:locations/[^/]+/)?(?:publishers/[^/]+/)?)models(?:/(.+))?"
)
_METHODS: Final = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
]


def listing(path: str, names: Sequence[str]) -> Reply | None:
    """Answer a call for all models or for one; None where the path is another."""
    found = _LISTING.fullmatch(after_version(path).rstrip("/"))
    if found is None:
        return None
    parent, wanted = found.groups()
    if wanted is None:
        # Vertex lists what its publishers offer, under another name.
        key = "publisherModels" if parent else "models"
        return Reply.json({key: [_model(name, parent) for name in names]})
    name = by_publisher(parent, unquote(wanted))
    if name not in names:
        message = f"models/{name[:200]} is not served here."
        return error_reply(BadRequest("model_not_found", message, status=404))
    return Reply.json(_model(name, parent, unquote(wanted)))


def _model(name: str, parent: str, within: str = "") -> dict[str, Any]:
    return {
        "name": f"{parent}models/{within or name}",
        "version": "001",
        "displayName": name,
        "description": "",
        "supportedGenerationMethods": _METHODS,
    }
