"""What a request's path calls: a model and a verb, under any version, by Gemini's paths or Vertex's."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from llmproxy.plugin import BadRequest, ClientRequest

#: The verbs that name a model whose use is routed.
VERBS: Final = frozenset(
    {
        "generateContent",
        "streamGenerateContent",
        "countTokens",
        "embedContent",
        "batchEmbedContents",
        "predict",
    }
)

#: The verbs whose answer is a batch, of which more is told later.
BATCHES: Final = frozenset({"batchGenerateContent", "asyncBatchEmbedContent"})

_VERSION: Final = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?/")
_RESOURCE: Final = re.compile(
    r"((?:projects/[^/]+/)?(?:locations/[^/]+/)?(?:publishers/[^/]+/)?)(models|tunedModels|endpoints)/(.+)",
    re.DOTALL,
)
_PROJECT: Final = re.compile(r"projects/[^/]+/(?:locations/[^/]+/)?")
# A model's name that says itself which collection it is of.
_COLLECTIONS: Final = ("models/", "tunedModels/", "endpoints/", "publishers/", "projects/")
# Who is meant where Vertex's path names no publisher, or this one; another stands before its model's name.
_GOOGLE: Final = ("", "google")
_UPWARDS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\;]|$)")
# Google's front ends take credentials from these as from a header.
_SECRETS: Final = frozenset({"key", "access_token", "oauth_token"})
#: The end of a path that begins an interaction.
INTERACTIONS: Final = "/interactions"


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
    if collection != "models":
        return Call(parent, f"{collection}/{name}", inside, verb)
    return Call(parent, by_publisher(parent, name), inside, verb)


def by_publisher(parent: str, name: str) -> str:
    """Return a model's name with its publisher before it, if that is another than Google."""
    publisher = parent.partition("publishers/")[2].rstrip("/")
    return name if publisher in _GOOGLE else f"{publisher}/{name}"


def after_version(path: str) -> str:
    """Return what stands behind the API's version, without a leading slash."""
    found = _VERSION.search(path)
    return path.lstrip("/") if found is None else path[found.end() :]


def target(verb: str, inside: str, parent: str = "") -> str:
    """Return the path of a call, relative to the upstream's base URL."""
    if inside.startswith(("publishers/", "projects/")):
        parent = ""
    return f"/{parent}{inside}:{verb}"


def parent_of(call: Call, publisher: str, base: str, *, renamed: bool) -> str:
    """Return what stands before the model in an upstream's path; nothing where `publisher` says that nothing does.

    The caller's project and location stay, unless the upstream's base URL, whose path is `base`, names its own; so does
    the publisher of a model that keeps its name.
    """
    if not publisher:
        return ""
    project, found, own = within(call.parent, base).partition("publishers/")
    if not call.inside.startswith("models/"):
        return project + found + own
    return f"{project}publishers/{own}" if found and not renamed else project + publisher


def within(path: str, base: str) -> str:
    """Return a path of Vertex's below a base URL: without the caller's project where that names another."""
    found = _PROJECT.match(path) if "/projects/" in base else None
    return path if found is None else path[found.end() :]


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


def interacts(request: ClientRequest) -> bool:
    """Say whether a request begins an interaction."""
    return request.method == "POST" and request.path.endswith(INTERACTIONS)
