"""Azure's ways with the dialect: models are deployments, named in the path, and versions of the API are dates.

Callers (`AzureOpenAI` of the SDKs) ask `/openai/deployments/NAME/chat/completions?api-version=...`. Of upstreams there
are three forms, told apart by their base URL: `.../openai/v1` is the undated API, in which models are named as
everywhere; `.../openai` is the dated one; `.../models` is a dated one that names models in the body. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

import msgspec

from llmproxy.plugin import BadRequest

if TYPE_CHECKING:
    from llmproxy.plugin import Quirks, UpstreamConfig

#: What stands below a deployment, whose name may hold slashes; longer ends first. All else stands beside deployments.
CALLS: Final = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/images/generations",
    "/images/edits",
)
_DEPLOYMENTS: Final = "/openai/deployments/"
_MODELS: Final = "/models"
_VERSION: Final = "api-version"
_UPWARDS: Final = frozenset({".", ".."})
#: What of a path, once it is decoded, servers take for the name of a model, whatever the body says: Azure's deployments
#: in any case of letters, OpenAI's first API, which others still have, and Hugging Face's servers of one model each.
_NAMED_ELSEWHERE: Final = re.compile(r"(?i)[/\\](?:deployments|engines)[/\\]|[/\\]models[/\\].+[/\\]v1[/\\]")
_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
#: The dated version that is asked where the configuration names none: the last that is no preview.
_LATEST: Final = "2024-10-21"
#: The first of the dated versions that has the Responses API.
_RESPONSES: Final = "2025-03-01"
#: The version of `/models`, which has no other.
_INFERENCE: Final = "2024-05-01-preview"


def deployment_of(path: str) -> str | None:
    """Return the deployment that a path names, or None."""
    _, found, rest = path.partition(_DEPLOYMENTS)
    call = found and next((call for call in CALLS if rest.endswith(call)), "")
    return unquote(rest.removesuffix(call)) or None if call else None


def hides_model(path: str) -> bool:
    """Say whether a path names a model in a way that is not read here, so that the body's would not be the one asked."""
    return deployment_of(path) is None and _NAMED_ELSEWHERE.search(unquote(unquote(path))) is not None


def below_prefix(path: str, query: str) -> tuple[str, str]:
    """Return path and query without what stands before a call: `/openai/deployments/NAME`, `/openai`, `/models`."""
    _, found, rest = path.rpartition("/models/")
    if found and f"/{rest}" in CALLS and _VERSION in query:
        return f"/{rest}", without_version(query)
    _, found, rest = path.partition("/openai/")
    if not found:
        return path, query
    if not rest.startswith("deployments/"):
        return "/" + rest, without_version(query)
    call = next((call for call in CALLS if rest.endswith(call)), None)
    return (path, query) if call is None else (call, without_version(query))


def without_version(query: str) -> str:
    """Return the query without the version of the API that was asked for."""
    return "&".join(part for part in query.split("&") if not part.startswith(f"{_VERSION}="))


def spoken_model(path: str, query: str) -> str | None:
    """Return the model that the address of a realtime session names, which Azure calls a deployment."""
    if not path.endswith("/realtime"):
        return None
    told = {_spelled(name): value for name, value in parse_qsl(query)}
    return told.get("model") or told.get("deployment") or None


def _spelled(name: str) -> str:
    """Return a parameter's name as servers may read it: some of them in any case of letters."""
    return name.strip().lower()


class Azure(NamedTuple):
    """How one upstream wants to be asked.

    `prefix` stands before each call, where the base URL does not end in it. `version` is the dated version, "" for the
    undated API; with `deployments` models are named in the path.
    """

    prefix: str = ""
    version: str = ""
    deployments: bool = False

    def target(self, target: str, model: str | None) -> str:
        """Return where a call goes whose target elsewhere is `target`.

        Raises:
            BadRequest: the model's name, which callers write as they like, would lead out of the path.
        """
        path, _, query = target.partition("?")
        if self.deployments and model and path in CALLS:
            if model in _UPWARDS:
                raise BadRequest("model_not_found", f"The model {model!r} is not served here.", status=404)
            path = f"/deployments/{quote(model, safe='')}{path}"
        if self.version:
            query = "&".join(filter(None, [without_version(query), f"{_VERSION}={self.version}"]))
        return f"{self.prefix}{path}?{query}" if query else self.prefix + path

    def spoken(self, target: str, model: str | None) -> str:
        """Return where a WebSocket goes that is asked for there: the model stands in its query."""
        path, _, query = target.partition("?")
        named = ("model", "deployment")
        others = [
            part for part in query.split("&") if _spelled(unquote_plus(part.partition("=")[0])) not in named
        ]
        name = "deployment" if self.deployments else "model"
        query = "&".join(filter(None, [f"{name}={quote(model, safe='')}" if model else "", *others]))
        return self.target(f"{path}?{query}" if query else path, None)


def azure_of(config: UpstreamConfig) -> Azure | None:
    """Return how an upstream wants to be asked if it is one of Azure's; its host, provider or quirks tell."""
    url, version = urlsplit(config.base_url), config.quirks.api_version
    if not (version or config.provider == "azure" or (url.hostname or "").endswith(_HOSTS)):
        return None
    path = url.path.rstrip("/")
    if not path:
        return Azure("/openai", version, deployments=True) if version else Azure("/openai/v1")
    if path.endswith("/openai"):
        return Azure(version=version or _LATEST, deployments=True)
    if path.endswith(_MODELS):
        return Azure(version=version or _INFERENCE)
    return Azure(version=version)


def fitting(quirks: Quirks, azure: Azure | None) -> Quirks:
    """Return the quirks as they are for a version: earlier ones have no Responses API, nor has `/models`."""
    early = azure is not None and azure.version and azure.version < _RESPONSES
    return msgspec.structs.replace(quirks, responses=False) if early and quirks.responses else quirks
