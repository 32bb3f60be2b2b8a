"""The list of models, as Anthropic's SDKs page through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llmproxy.plugin import BadRequest, ClientRequest, Reply, wanted_model
from llmproxy_anthropic.errors import error_reply

_MOST: Final = 1000
# Nobody told when a model was made; readers want a time all the same.
_UNKNOWN: Final = "1970-01-01T00:00:00Z"


def models_reply(request: ClientRequest, names: Sequence[str]) -> Reply | None:
    """Answer a call for the models or for one of them; None where it is another call."""
    name = wanted_model(request.path)
    if name is None:
        return None
    if not name:
        return Reply.json(_page(request, names))
    if name not in names:
        return error_reply(BadRequest("model_not_found", f"model: {name[:200]}", status=404))
    return Reply.json(_model(name))


def _page(request: ClientRequest, names: Sequence[str]) -> dict[str, Any]:
    asked = request.parameters()
    start, end = 0, len(names)
    if asked.get("after_id") in names:
        start = names.index(asked["after_id"]) + 1
    elif asked.get("before_id") in names:
        end = names.index(asked["before_id"])
    digits = asked.get("limit", "")
    # A number of thousands of digits is none that Python reads.
    limit = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else _MOST
    limit = min(max(limit, 1), _MOST)
    backwards = "before_id" in asked and "after_id" not in asked
    page = names[max(start, end - limit) : end] if backwards else names[start : min(end, start + limit)]
    more = end - start > len(page)
    return {
        "data": [_model(name) for name in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _model(name: str) -> dict[str, str]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _UNKNOWN, "lifecycle": "active"}
