"""One exchange: a caller's request and all that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from llmproxy.body import Body, BodyTooLarge
from llmproxy.errors import BadRequest
from llmproxy.identity import next_serial
from llmproxy.jsonscan import Member, patch
from llmproxy.messages import ClientRequest, RawHeader, Reply, StoredReply
from llmproxy.usage import Usage as Usage  # noqa: PLC0414  # everyone has it from here

if TYPE_CHECKING:
    from llmproxy.caching.fate import Pinned
    from llmproxy.canonical import Loss
    from llmproxy.dialects import ClientFace
    from llmproxy.keyring import Keyring
    from llmproxy.registry import Plugin
    from llmproxy.route import Route
    from llmproxy.server import ClientConnection
    from llmproxy.tariff import Priced

T = TypeVar("T")


class StateKey(Generic[T]):
    """A typed key into `exchange.state`; make one a module-level constant."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"StateKey({self.name!r})"


class State(dict[Any, Any]):
    """What plugins keep with an exchange, by typed key only."""

    __slots__ = ()

    if TYPE_CHECKING:  # a dictionary does as it is, and costs no call

        def __getitem__(self, key: StateKey[T]) -> T: ...

        def __setitem__(self, key: StateKey[T], value: T) -> None: ...

        def get(self, key: StateKey[T]) -> T | None:  # type: ignore[override]
            """Return the value, or None."""


class _MadeOnce:
    """An exchange's state, made when it is first asked for; from then on it is an attribute, and costs no call."""

    if TYPE_CHECKING:

        def __get__(self, exchange: Exchange, kind: type[Exchange]) -> State: ...

    else:

        def __get__(self, exchange, kind):
            exchange.state = exchange._state = made = State()
            return made


#: Set while an exchange's call is made by a task that others wait for too: what comes is that task's to give up.
FETCHED_FOR_ALL: Final[StateKey[bool]] = StateKey("fetched_for_all")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: set by an authenticating plugin in `pre_route`.

    `tenant` separates everything that is stored; `key` is a public name of the credential, never the credential.
    """

    tenant: str
    key: str = ""
    labels: tuple[tuple[str, str], ...] = ()


#: An empty mapping that nobody can fill.
NOTHING: Mapping[str, Any] = MappingProxyType({})

#: The caller where no plugin asked who it is.
ANONYMOUS = Caller("default")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one attempt goes: an upstream's name and the model name sent to it (None leaves the body's own).

    `member` is the full name (`backend@10.0.0.1:8080`) of a discovered member of the upstream; "" where the members are
    discovered and none has been chosen yet; None where there are none to choose from.
    """

    upstream: str
    model: str | None = None
    member: str | None = None


@dataclass(init=False)
class Attempt:
    """One try at an upstream. Times are seconds on the gateway's clock; `status` is None if no reply came."""

    number: int
    endpoint: Endpoint
    started: float
    # What follows is looked up on the class until it is known: most of it never differs.
    status: int | None = None
    headers_at: float | None = None
    first_output_at: float | None = None
    ended: float | None = None
    error: BaseException | None = None
    usage: Usage | None = None
    #: What it is charged by: the rates that held when somebody first asked (`Tariff.charged`).
    priced: Priced | None = None
    #: What its usage costs, in microdollars; None until somebody asked
    #: (`Tariff.cost`), or where that is not known.
    cost: int | None = None
    complete: bool = False
    #: Whether its reply may leave: it has begun. What fails from then on is told, and never tried again.
    committed: bool = False
    #: Whether the caller's dialect had to be put into the upstream's.
    translated: bool = False
    #: The reply's body while it comes, so that it is given up with the exchange if nobody took it.
    body: Body | None = field(default=None, repr=False)
    #: The upstream's keys where it has several, and which of them this attempt uses: a number, counted from 0.
    keys: Keyring | None = field(default=None, repr=False)
    key: int = 0

    def __init__(self, number: int, endpoint: Endpoint, started: float, **known: Any) -> None:
        self.number = number
        self.endpoint = endpoint
        self.started = started
        if known:
            _fill(self, known)


@dataclass(init=False)
class Outcome:
    """How the exchange ended; final when `post_response` runs.

    `cache` is `hit`, `miss` or `` (not asked). `result` is one of `ok`, `answered` (by a plugin, early), `hit`,
    `refused` (by the gateway), `upstream_error`, `cut` (broke off after output), `client_gone`.
    """

    status: int = 0
    result: str = ""
    cache: str = ""
    error: str = ""
    answered_by: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    first_byte_at: float | None = None
    ended: float = 0.0
    client_gone: bool = False
    reply: StoredReply | None = None

    def __init__(self, **known: Any) -> None:
        if known:
            _fill(self, known)


def _fill(record: Attempt | Outcome, known: dict[str, Any]) -> None:
    for name, value in known.items():
        if name not in type(record).__dataclass_fields__:
            raise TypeError(f"{type(record).__name__} has no field {name!r}")
        setattr(record, name, value)


@dataclass(frozen=True, slots=True)
class Edit:
    """One byte-range change of the caller's body: `data` in place of `body[start:end]`."""

    start: int
    end: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MessageEdit:
    """Put a message into the conversation before index `at` (negative from the end), or in that one's place."""

    at: int
    role: str
    text: str
    replace: bool = False


class Exchange:
    """A caller's request on its way through the pipeline.

    `model` is the public name the caller asked for; `endpoints` the ordered places that may answer; `endpoint` the
    one the next attempt goes to. `deadline` is a time on the gateway's clock, shared by all attempts. `upload` is the
    request's body while it is still coming; `members` where the fields that the gateway acts on stand in it.
    """

    # Defaults live on the class: an exchange sets what it learns, which is less than half of this.
    params: Mapping[str, str] = NOTHING
    caller: Caller = ANONYMOUS
    #: Says of a model's public name whether the caller may ask for it; None where he may ask for any. Of `pre_route`.
    may_ask: Callable[[str], bool] | None = None
    client_face: ClientFace | None = None
    #: Lower-case names of header fields that were meant for the gateway alone; they go no further.
    spent: frozenset[bytes] = frozenset()
    model: str | None = None
    streamed: bool = False
    endpoints: Sequence[Endpoint] = ()
    endpoint: Endpoint | None = None
    deadline: float = 0.0
    usage: Usage | None = None
    usage_added: bool = False
    #: What the last attempt's translation could not carry; empty where nothing was translated.
    losses: Sequence[Loss] = ()
    parent: Exchange | None = None
    #: How many exchanges have been made on its behalf.
    children: int = 0
    #: The answer that an operator gives in place of any upstream's.
    pinned: Pinned | None = None
    #: What the plugin that walks its pool knows of the walk; nobody else's business.
    trail: Any = None
    #: Whether the caller asked for a WebSocket.
    upgraded: bool = False
    members: Mapping[str, Member] = NOTHING
    upload: bytes | Body | None = None
    #: What is done to the reply when every plugin and stream transform has had it: its content coding. It is set in
    #: `transform_response`, and may not fail.
    finish: Callable[[Reply], None] | None = None
    #: Fields of the head that leaves before there is an answer (signs of life); plugins add theirs in `pre_route`.
    heralds: tuple[RawHeader, ...] = ()
    #: The caller's connection, where interim replies go; None where nobody takes any.
    connection: ClientConnection | None = None
    #: What interim replies have taken of their room.
    interim_bytes: int = 0
    #: Passes on or makes the `traceparent`, when somebody asks for it.
    tracer: Callable[[bytes | None], str] | None = None
    _trace: str | None = None
    _serial: str | None = None
    #: What plugins keep with this exchange, by typed key.
    state = _MadeOnce()
    _state: State | None = None
    _body: bytes | None = None

    def __init__(self, request: ClientRequest, route: Route, name: str, started: float) -> None:
        self.request = request
        self.route = route
        self.id = name
        self.started = started
        self.attempts: list[Attempt] = []
        self.outcome = Outcome()

    @property
    def serial(self) -> str:
        """A name that no other exchange has, of any process; `id` may be its caller's choice, and many may share it."""
        if self._serial is None:
            self._serial = next_serial()
        return self._serial

    @property
    def trace(self) -> str:
        """The W3C `traceparent`: the caller's, or one made for this exchange."""
        if self._trace is None:
            given = self.request.headers.index.get(b"traceparent")
            self._trace = "" if self.tracer is None else self.tracer(given)
        return self._trace

    @trace.setter
    def trace(self, trace: str) -> None:
        self._trace = trace

    def interim(self, status: int, fields: list[RawHeader]) -> None:
        """Pass an interim reply (102, 103...) on to the caller, if it can take one now; drop it if not."""
        if self.connection is not None:
            # Imported when the first one comes: few upstreams send any.
            from llmproxy.interim import pass_interim  # noqa: PLC0415

            pass_interim(self.connection, self, status, fields)

    def options(self, plugin: Plugin[Any]) -> Any:
        """Return the plugin's `RouteConfig` for this route."""
        return self.route.options[plugin.name]

    @property
    def has_body(self) -> bool:
        """Whether the whole body is at hand."""
        return self._body is not None

    @property
    def body_at_hand(self) -> bytes | None:
        """The whole body, after edits, where it is at hand; None where it has to be awaited."""
        return self._body

    async def body(self) -> bytes:
        """Return the caller's whole body, after edits; on a model route its model name is known from then on.

        Raises:
            BadRequest: larger than the route's `max_body` (413), too slow (408), or broken for its dialect (400).
        """
        if self._body is None and not self.take_body():
            self._open(await self._read())
        return self._body or b""

    def take_body(self) -> bool:
        """Read the body if all of it is here; False if it is still coming, or is too large (`body` tells).

        Raises:
            BadRequest: broken for its dialect (400).
        """
        if self._body is None:
            data = self.upload
            if isinstance(data, Body) or (data is not None and len(data) > self.route.max_body):
                return False
            self.upload = None
            self._open(data or b"")
        return True

    def _open(self, data: bytes) -> None:
        try:
            self.set_body(data)
        except BadRequest:
            self.upload = data  # whoever asks again is told the same
            raise

    async def _read(self) -> bytes:
        upload, self.upload = self.upload, None
        limit = self.route.max_body
        try:
            data = await upload.read(limit) if isinstance(upload, Body) else upload or b""
            if len(data) > limit:
                raise BodyTooLarge
        except BaseException as fault:
            error = fault if isinstance(fault, Exception) else ConnectionAbortedError("reading was given up")
            if isinstance(fault, BodyTooLarge):
                message = f"The request's body is larger than {limit} bytes."
                error = BadRequest("body_too_large", message, status=413)
            # What broke stays broken: nobody may take it for an empty body later.
            self.upload = Body()
            self.upload.fail(error)
            if error is fault or not isinstance(fault, Exception):
                raise
            raise error from fault
        return data

    def set_body(self, data: bytes, *, reread: bool = True) -> None:
        """Replace the whole body (prefer `edit`, which keeps what stands before the change).

        Without `reread` it must be one that says of `model` and `stream` what the last one said.
        """
        if self.client_face is not None and (reread or self.members):
            self.client_face.open(self, data)
        self._body = data

    async def edit(self, *edits: Edit | MessageEdit) -> None:
        """Change the body by byte ranges, or its conversation by messages; bytes before an edit stay as they are.

        Raises:
            BadRequest: the body has no conversation to put a message into.
        """
        body = await self.body()
        ranges = [e for e in edits if isinstance(e, Edit)]
        messages = [e for e in edits if isinstance(e, MessageEdit)]
        if messages:
            if self.client_face is None:
                raise BadRequest("no_conversation", "This route's requests hold no conversation to edit.")
            ranges += self.client_face.edits(body, messages)
        self.set_body(patch(body, [(e.start, e.end, e.data) for e in ranges]))
