"""What a request's path calls: a model and a verb, under any version, by Gemini's paths or Vertex's."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from llmproxy.plugin import BadRequest

#: The verbs that name a model whose use is routed.
VERBS: Final = frozenset(
    {"generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"}
)

#: The verbs whose answer is a batch, of which more is told later.
BATCHES: Final = frozenset({"batchGenerateContent", "asyncBatchEmbedContent"})

_VERSION: Final = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?/")
_RESOURCE: Final = re.compile(
    r"((?:projects/[^/]+/)?(?:locations/[^/]+/)?(?:publishers/[^/]+/)?)(models|tunedModels|endpoints)/(.+)",
    re.DOTALL,
)
# A model's name that says itself which collection it is of.
_COLLECTIONS: Final = ("models/", "tunedModels/", "endpoints/", "publishers/", "projects/")
_UPWARDS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\;]|$)")
# Google's front ends take credentials from these as from a header.
_SECRETS: Final = frozenset({"key", "access_token", "oauth_token"})


class Call(NamedTuple):
    """A call of one model: `parent` is what Vertex writes before it, `inside` collection and name as they came."""

    parent: str
    model: str
    inside: str
    verb: str


def call_of(path: str) -> Call | None:
    """Return which model is called and how, or None where the path is of another kind.

    The verb follows the last colon: a model's name may hold colons, slashes and percent-encoding.
    """
    head, _, verb = path.rpartition(":")
    if verb not in VERBS and verb not in BATCHES:
        return None
    found = _RESOURCE.fullmatch(after_version(head))
    if found is None:
        return None
    parent, collection, segment = found.groups()
    name = unquote(segment)
    inside = f"{collection}/{segment}"
    return Call(parent, name if collection == "models" else f"{collection}/{name}", inside, verb)


def after_version(path: str) -> str:
    """Return what stands behind the API's version, without a leading slash."""
    found = _VERSION.search(path)
    return path.lstrip("/") if found is None else path[found.end() :]


def target(verb: str, inside: str, parent: str = "") -> str:
    """Return the path of a call, relative to the upstream's base URL."""
    if inside.startswith(("publishers/", "projects/")):
        parent = ""
    return f"/{parent}{inside}:{verb}"


def written(model: str) -> str:
    """Return a model's collection and name as they stand in a path.

    Raises:
        BadRequest: the name, which callers of other dialects write as they like, would lead out of it.
    """
    if _UPWARDS.search(model) is not None:
        raise BadRequest("model_not_found", f"The model {model[:200]!r} is not served here.", status=404)
    return quote(resource_name(model), safe="/:@")


def resource_name(model: str) -> str:
    """Return how a body names a model."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def without_secrets(query: str) -> str:
    """Return the query without the parameters that Google takes as credentials."""
    if not query:
        return query
    return "&".join(pair for pair in query.split("&") if not _is_secret(pair))


def _is_secret(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]).strip().lower() in _SECRETS


def streams_events(query: str) -> bool:
    """Say whether a stream is wanted as server-sent events; else it is one JSON array."""
    return any(pair.lower() == "alt=sse" for pair in query.split("&"))
