"""What would happen to a request: its route, the plugins' hooks, the attempts. Nobody is called.

No hook of a request is run: what a plugin would answer or change is not foreseen, what it would see first is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from llmproxy.differences import edits_between
from llmproxy.errors import GatewayError
from llmproxy.exchange import Endpoint, Exchange
from llmproxy.hooks import HOOKS, Hooks
from llmproxy.matching import find_route
from llmproxy.messages import ClientRequest
from llmproxy.redaction import REDACTED, is_sensitive, redact_config, redact_text
from llmproxy.references import Resolved
from llmproxy.registry import FORESEEN
from llmproxy.routing import ModelTable, Router
from llmproxy.suggestions import nearest
from llmproxy.units import format_duration

if TYPE_CHECKING:
    from llmproxy.assembly import Assembly
    from llmproxy.messages import UpstreamRequest
    from llmproxy.registry import Plugin
    from llmproxy.route import Route, Target

#: Hooks that run up the list of plugins, the last listed first.
UP: Final = frozenset({"cache_store", "transform_response", "transform_stream", "post_response"})
#: Hooks that a request meets, in the order they are called.
REQUEST_HOOKS: Final = tuple(
    hook for hook in vars(Hooks) if hook in HOOKS - {"register", "contribute_config", "lifespan"}
)
_CLIPPED: Final = 200
_MOST_NAMES: Final = 20
_CLIPPED_BODY: Final = 4000
_THEN: Final = {
    "allow": "the log tells of them",
    "warn": "the log and the header x-llmproxy-losses tell of them",
    "refuse": "the request is refused",
}
#: Methods whose requests tell the length of an empty body too (RFC 9110 §8.6).
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class ExplainedPlugin:
    """A plugin of the route: the request hooks that it implements, its options there, what it says of the request."""

    name: str
    use: str
    hooks: list[str]
    options: Any
    says: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ExplainedEdit:
    """A byte range of the caller's body and what is sent in its place."""

    start: int
    end: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ExplainedTranslation:
    """How a request is put into another dialect: its body there, what gets lost, and what the route does with that.

    `losses` are field names of the caller's with a sentence each; `then` tells what follows from them; `notes` say what
    is not shown.
    """

    caller: str
    provider: str
    body: str
    losses: dict[str, str]
    lossy: str
    then: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class ExplainedAttempt:
    """One endpoint, and the wire request that it would get; secrets are shown as references.

    `edits` tell what changes in the caller's body; a request that is put into another dialect has a `translation`.
    """

    upstream: str
    model: str | None
    url: str
    local: bool
    timeouts: dict[str, str]
    request_line: str
    headers: list[tuple[str, str]]
    body_bytes: int
    edits: list[ExplainedEdit]
    translation: ExplainedTranslation | None = None


@dataclass(slots=True)
class Explanation:
    """Everything that can be foreseen of a request.

    `refusal` is what the core itself would answer; `sees` tells by hook what its plugins meet first.
    """

    method: str
    target: str
    route: str | None = None
    kind: str = ""
    params: dict[str, str] = field(default_factory=dict)
    plugins: list[ExplainedPlugin] = field(default_factory=list)
    order: dict[str, list[str]] = field(default_factory=dict)
    sees: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    streamed: bool = False
    attempts: list[ExplainedAttempt] = field(default_factory=list)
    refusal: dict[str, Any] | None = None


async def explain(
    assembly: Assembly,
    routes: Sequence[Route],
    request: ClientRequest,
    body: bytes,
) -> Explanation:
    """Explain one request; `routes` are those that `build_routes` made from `assembly`."""
    told = Explanation(request.method, request.target)
    try:
        found = find_route(Router(routes), request)
        exchange = Exchange(request, found.route, "explained", 0.0)
        exchange.params = dict(found.params)
        exchange.client_face = found.route.face_of(request)
        _tell_route(told, assembly, exchange, len(body))
        _read(exchange, body)
        told.model, told.streamed = exchange.model, exchange.streamed
        endpoints = _endpoints(exchange)
        _tell_sight(told, exchange, endpoints)
        for explained, plugin in zip(told.plugins, found.route.pipeline.plugins, strict=True):
            explained.says.extend(plugin.foresee(exchange, body))
        foreseen = exchange.state.get(FORESEEN)
        for endpoint in endpoints if foreseen is None else foreseen:
            exchange.endpoint = endpoint
            told.attempts.append(await _attempt(exchange, endpoint, body))
            _refuse_losses(exchange)
    except GatewayError as error:
        told.refusal = {"status": error.status, "code": error.code, "message": error.message}
    return told


def _tell_route(told: Explanation, assembly: Assembly, exchange: Exchange, size: int) -> None:
    route = exchange.route
    told.route = route.name
    told.kind = "plugin" if route.handler is not None else "http" if route.models is None else "model"
    told.params = dict(exchange.params)
    plugins = route.pipeline.plugins
    told.plugins = [_plugin(assembly, route, plugin) for plugin in plugins]
    for hook in REQUEST_HOOKS:
        names = [plugin.name for plugin in told.plugins if hook in plugin.hooks]
        if names:
            told.order[hook] = names[::-1] if hook in UP else names
    fields = ", ".join(dict.fromkeys(name.lower() for name, _ in exchange.request.headers)) or "none"
    line = f"{told.method} {told.target}"
    told.sees["pre_route"] = f"{line}, header fields {fields}, {size} bytes of body not yet read"


def _plugin(assembly: Assembly, route: Route, plugin: Plugin[Any]) -> ExplainedPlugin:
    hooks = [hook for hook in REQUEST_HOOKS if assembly.table.implements(plugin, hook)]
    options = msgspec.to_builtins(route.options[plugin.name], enc_hook=str)
    kind = type(plugin)
    return ExplainedPlugin(
        plugin.name, f"{kind.__module__}:{kind.__qualname__}", hooks, redact_config(options)
    )


def _read(exchange: Exchange, body: bytes) -> None:
    """Read the body as far as routing needs it."""
    route = exchange.route
    if len(body) > route.max_body:
        message = f"The request's body is larger than {route.max_body} bytes."
        raise GatewayError(413, "body_too_large", message)
    if route.models is not None and exchange.client_face is not None:
        exchange.set_body(body)


def _endpoints(exchange: Exchange) -> Sequence[Endpoint]:
    route = exchange.route
    if route.handler is not None:
        return ()
    endpoints: Sequence[Endpoint] | None = route.defaults
    if route.models is not None and exchange.model is not None:
        endpoints = route.models.resolve(exchange.model)
        if endpoints is None:
            message = f"The model {exchange.model[:_CLIPPED]!r} is not served here"
            raise GatewayError(
                404, "model_not_found", f"{message}{_otherwise(route.models, exchange.model)}."
            )
    if not endpoints:
        raise GatewayError(404, "no_upstream", "Nothing on this route can answer this request.")
    if route.choose is not None:
        endpoints = route.choose(exchange, endpoints)
    exchange.endpoints = endpoints
    return endpoints


def _otherwise(models: ModelTable, name: str) -> str:
    """Say which names are served; the caller would not be told."""
    names = models.names()
    if near := nearest(name, names):
        return f"; did you mean {near!r}? (the caller is not told)"
    return f"; served are {', '.join(names[:_MOST_NAMES])} (the caller is not told)" if names else ""


def _tell_sight(told: Explanation, exchange: Exchange, endpoints: Sequence[Endpoint]) -> None:
    places = ", ".join(_place(endpoint) for endpoint in endpoints) or "the plugin's own handler"
    asked = "no model name" if exchange.model is None else f"model {exchange.model!r}"
    streamed = ", a stream is wanted" if exchange.streamed else ""
    sees = {
        "cache_lookup": f"{asked}{streamed}, may be answered by {places}",
        "around_upstream": f"the attempts at {places}",
        "transform_request": "each attempt's wire request, as below",
    }
    told.sees |= {hook: text for hook, text in sees.items() if hook in told.order}
    if "pre_route" not in told.order:
        told.sees.pop("pre_route", None)


def _place(endpoint: Endpoint) -> str:
    upstream = endpoint.upstream if endpoint.member is None else f"the members of {endpoint.upstream}"
    return upstream if endpoint.model is None else f"{upstream} ({endpoint.model})"


async def _attempt(exchange: Exchange, endpoint: Endpoint, body: bytes) -> ExplainedAttempt:
    target = exchange.route.targets[endpoint.upstream]
    if target.face.native(exchange):
        wire = target.face.encode(exchange, endpoint, body)
        sent = wire.body if isinstance(wire.body, bytes) else body
        edits = [
            ExplainedEdit(edit.start, edit.end, _clip(body[edit.start : edit.end]), _clip(edit.data))
            for edit in edits_between(body, sent)
        ]
        return _shown(target, endpoint, wire, len(sent), edits)
    from llmproxy.foreseeing import foresee  # noqa: PLC0415  # brings the translation

    foreseen = await foresee(exchange, endpoint, target.face)
    if foreseen.wire is None:
        shown, sent = ExplainedAttempt(endpoint.upstream, endpoint.model, "", True, {}, "", [], 0, []), b""
    else:
        sent = foreseen.wire.body if isinstance(foreseen.wire.body, bytes) else b""
        shown = _shown(target, endpoint, foreseen.wire, len(sent), [])
    return replace(shown, translation=_translation(exchange, target, sent, foreseen.notes))


def _translation(exchange: Exchange, target: Target, sent: bytes, notes: list[str]) -> ExplainedTranslation:
    caller, lossy = exchange.client_face, exchange.route.lossy
    return ExplainedTranslation(
        caller="" if caller is None else caller.wire,
        provider=target.face.wire,
        body=_hidden(target, _clip(sent, _CLIPPED_BODY)),
        losses={loss.field: loss.why for loss in exchange.losses},
        lossy=lossy,
        then=_THEN[lossy] if exchange.losses else "nothing gets lost",
        notes=notes,
    )


def _refuse_losses(exchange: Exchange) -> None:
    if exchange.losses:
        from llmproxy.translation import refuse_losses  # noqa: PLC0415  # is here where something got lost

        refuse_losses(exchange)


def _shown(
    target: Target, endpoint: Endpoint, wire: UpstreamRequest, size: int, edits: list[ExplainedEdit]
) -> ExplainedAttempt:
    base = urlsplit(target.upstream.config.base_url)
    length = size if size or wire.method in _WITH_BODY else -1
    wire.headers.remove("content-length")  # said of an upload that streams through; it is measured here
    line, *fields = target.upstream.head(wire, length).decode("latin-1").rstrip().split("\r\n")
    timeouts = msgspec.structs.asdict(target.timeouts)
    return ExplainedAttempt(
        upstream=endpoint.upstream,
        model=endpoint.model,
        url=_hidden(target, f"{base.scheme}://{base.netloc}{target.upstream.base_path}{wire.target}"),
        local=target.local is not None,
        timeouts={name: format_duration(seconds) for name, seconds in timeouts.items()},
        request_line=_hidden(target, line),
        headers=[(name, _hidden(target, value)) for name, value in _fields(fields, _references(target))],
        body_bytes=size,
        edits=edits,
    )


def _hidden(target: Target, text: str) -> str:
    """Return a text with references in place of the values that a face puts into requests, as it says (`references`)."""
    values: Mapping[str, str] = getattr(target.face, "references", {})
    for value, reference in values.items():
        text = text.replace(value, reference)
    return text


def _references(target: Target) -> dict[str, str]:
    """Return what to show for header fields that hold secrets of the configuration, by lower-case name."""
    config = target.upstream.config
    shown = {
        name.lower(): value.reference for name, value in config.headers.items() if isinstance(value, Resolved)
    }
    if config.api_key:
        references = ", or ".join(key.reference for key in config.api_key)
        for name, value in target.face.credentials(references):
            shown[name.decode("latin-1").lower()] = value.decode("latin-1")
    return shown


def _fields(lines: Sequence[str], references: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition(": ")
        reference = references.get(name.lower())
        if reference is not None:
            yield name, reference
        else:
            yield name, REDACTED if is_sensitive(name) else redact_text(value)


def _clip(data: bytes, most: int = _CLIPPED) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return text if len(text) <= most else f"{text[:most]}... ({len(data)} bytes)"
