"""The models that may be used, as Cohere lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llmproxy.plugin import BadRequest, ClientRequest, Reply, wanted_model
from llmproxy_cohere.errors import error_reply

_ENDPOINTS: Final = ["chat", "embed", "rerank"]


def models_reply(request: ClientRequest, names: Sequence[str]) -> Reply | None:
    """Answer a call for the models or for one of them; None where it is another call."""
    name = wanted_model(request.path)
    if name is None:
        return None
    if not name:
        return Reply.json({"models": [_model(name) for name in names]})
    if name not in names:
        message = f"model '{name[:200]}' not found"
        return error_reply(BadRequest("model_not_found", message, status=404))
    return Reply.json(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"name": name, "endpoints": _ENDPOINTS, "finetuned": False, "is_deprecated": False}
