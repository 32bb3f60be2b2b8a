"""The dialect's faces on other clouds: what tells their callers, and all else once it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, cast

from llmproxy.plugin import Claim, ClientFace, UpstreamFace
from llmproxy_anthropic.names import LOSS_NAMES

#: Where callers of Vertex, and of Bedrock for models by Claude's names, send their messages.
VERTEX_CLAIMS: Final[Sequence[Claim]] = tuple(
    Claim(f"/publishers/anthropic/models/*:{verb}") for verb in ("rawPredict", "streamRawPredict")
)
BEDROCK_CLAIMS: Final[Sequence[Claim]] = tuple(
    Claim(f"/model/*{name}*/{action}")
    for name in ("anthropic", "claude")
    for action in ("invoke", "invoke-with-response-stream")
)

_ASKED: Final = frozenset(
    name
    for names in (
        "reads_body open key_rules edits error stream_error models decode_request recall remember encode_answer",
        "stream_encoder stream_type for_upstream native encode credentials tap stream_filter fetches",
        "encode_request decode_answer decode_error stream_decoder tool_names",
    )
    for name in names.split()
)


class LateFace:
    """A face whose module is imported when it is asked for more than is `known` of it; few gateways ever are."""

    def __init__(self, module: str, name: str, *, retells: bool = False, **known: Any) -> None:
        self.__dict__.update(known)
        self._where = (module, name)
        self._face: Any = None
        if retells:
            self.form = partial(self._ask, "form")
            self.retell = partial(self._ask, "retell")

    def __getattr__(self, name: str) -> Any:
        if name not in _ASKED:
            raise AttributeError(name)
        return getattr(self._loaded(), name)

    def _ask(self, name: str, *given: Any) -> Any:
        return getattr(self._loaded(), name)(*given)

    def _loaded(self) -> Any:
        if self._face is None:
            module, name = self._where
            self._face = getattr(import_module(f"llmproxy_anthropic.{module}"), name)()
        return self._face


def vertex_faces() -> tuple[ClientFace, UpstreamFace]:
    """Return both faces of `anthropic-vertex`."""
    told: dict[str, Any] = {
        "wire": "anthropic",
        "claims": VERTEX_CLAIMS,
        "markers": (),
        "loss_names": LOSS_NAMES,
    }
    client = LateFace("vertex", "VertexClient", retells=True, **told)
    calls = {"generate": "messages", "count": "count"}
    return cast("ClientFace", client), cast(
        "UpstreamFace", LateFace("vertex", "VertexUpstream", wire="anthropic", calls=calls)
    )


def bedrock_faces() -> tuple[ClientFace, UpstreamFace]:
    """Return both faces of `anthropic-bedrock`."""
    told: dict[str, Any] = {
        "wire": "bedrock",
        "claims": BEDROCK_CLAIMS,
        "markers": (),
        "loss_names": LOSS_NAMES,
    }
    client = LateFace("bedrock", "InvokeClient", **told)
    return cast("ClientFace", client), cast(
        "UpstreamFace", LateFace("bedrock", "InvokeUpstream", wire="bedrock")
    )
