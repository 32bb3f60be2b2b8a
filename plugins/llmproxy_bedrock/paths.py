"""What a request's path calls: a model, and what is asked of it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from llmproxy.plugin import BadRequest

#: The operations that name a model.
ACTIONS: Final = frozenset(
    {"converse", "converse-stream", "count-tokens", "invoke", "invoke-with-response-stream"}
)
STREAMED: Final = frozenset({"converse-stream", "invoke-with-response-stream"})

_MODEL: Final = "/model/"
#: What else the runtime API has; it names no model in its path.
_OTHERS: Final = ("/guardrail", "/async-invoke")
_UPWARDS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\;]|$)")


class Call(NamedTuple):
    """A call of one model: its name, the name as the path spells it, and the operation."""

    model: str
    segment: str
    action: str


def call_of(path: str) -> Call | None:
    """Return which model is called and how, or None where the path is of another kind.

    A model's name may be an ARN, with colons and slashes, encoded or not.
    """
    head, _, action = path.rpartition("/")
    if action not in ACTIONS:
        return None
    _, found, segment = head.partition(_MODEL)
    return Call(unquote(segment), segment, action) if found and segment else None


def target(segment: str, action: str) -> str:
    """Return the path of a call, relative to the upstream's base URL."""
    return f"{_MODEL}{segment}/{action}"


def written(model: str) -> str:
    """Return a model's name as one segment of a path, as AWS's SDKs write it.

    Raises:
        BadRequest: the name, which callers of other dialects write as they like, would lead out of it.
    """
    if not model or _UPWARDS.search(model) is not None:
        raise BadRequest("model_not_found", f"The model {model[:200]!r} is not served here.", status=404)
    return quote(model, safe="")


def beside_models(path: str) -> str:
    """Return the path of another call of the runtime API, what stands before it left out."""
    places = [at for start in _OTHERS if (at := path.find(start)) >= 0]
    return path[min(places) :] if places else path
