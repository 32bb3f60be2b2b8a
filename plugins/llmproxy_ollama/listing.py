"""What Ollama's clients ask before they chat: which models there are, what one of them can, which version answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from llmproxy.plugin import Reply
from llmproxy_ollama.paths import Call

#: The version of Ollama whose API is spoken here: clients leave out what an older one lacks.
VERSION: Final = "0.13.0"

# Nobody told when a model was made; readers want a time all the same.
_UNKNOWN: Final = "1970-01-01T00:00:00Z"
_DETAILS: Final[dict[str, Any]] = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
_ARCHITECTURE: Final = "llmproxy"
#: What a model that is reached through the gateway is taken to be able to; which can more is its provider's word.
_CAPABILITIES: Final = ["completion", "tools"]


def listing(call: Call, names: Sequence[str]) -> Reply | None:
    """Answer a call that no model is asked for; None where it is another."""
    if call == "tags":
        return Reply.json({"models": [_model(name) for name in names]})
    if call == "version":
        return Reply.json({"version": VERSION})
    return Reply.json({"models": []}) if call == "ps" else None


def described(name: str) -> Reply:
    """Answer what one model is, as far as a gateway knows."""
    about = {"general.architecture": _ARCHITECTURE, "general.basename": name}
    told = {
        "license": "",
        "modelfile": "",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _DETAILS,
        "model_info": about,
        "capabilities": _CAPABILITIES,
        "modified_at": _UNKNOWN,
    }
    return Reply.json(told)


def _model(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "name": name,
        "model": name,
        "modified_at": _UNKNOWN,
        "size": 0,
        "digest": digest,
        "details": _DETAILS,
    }
