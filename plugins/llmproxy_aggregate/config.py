"""The plugin's configuration, and what a route says of its calls and of the answer that is made of theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from llmproxy.plugin import ConfigError, Duration, Reference, Size, TextTemplate, ValueTemplate
from llmproxy_aggregate.filtering import Filter
from llmproxy_aggregate.targets import check_target
from llmproxy_aggregate.values import REQUEST

#: Calls that one route may declare.
MOST_CALLS: Final = 16

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Fields that say how a message is carried, and so are nobody's to declare.
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
#: Fields of the answer that would be wrong if a route wrote them.
_OWN: Final = frozenset({*_FRAMING, "content-encoding", "content-type"})

Status = Annotated[int, msgspec.Meta(ge=200, le=599)]
Failure = Literal["fail", "null", "omit", "default"]
ReadT = TypeVar("ReadT")


class AggregateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds: of one call's answer, of the merged one, of all calls together where a route says no deadline.

    `max_depth` counts aggregations within one another, `max_calls` the calls that all of them make for one request.
    """

    max_reply: Size = 1 << 20
    max_answer: Size = 4 << 20
    timeout: Duration = 10.0
    max_depth: Annotated[int, msgspec.Meta(ge=1, le=8)] = 3
    max_calls: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One call: a request to a route of this gateway. `target`, `headers` and `body` are templates.

    `forward` names header fields of the caller's that go along; `statuses` are good ones beside 2xx; `relay` those
    which make this call's answer the caller's. `pick` and `drop` are paths of what is taken over, and of what is not.
    """

    target: str
    method: str = "GET"
    headers: dict[str, str] = {}
    forward: tuple[str, ...] = ("accept-language",)
    body: Any = msgspec.UNSET
    timeout: Duration | None = None
    form: Literal["json", "text"] = "json"
    statuses: tuple[Status, ...] = ()
    relay: tuple[Status, ...] = ()
    pick: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    on_failure: Failure = "fail"
    default: Any = msgspec.UNSET

    def __post_init__(self) -> None:
        if not self.target.startswith("/"):
            raise ConfigError("target", f"{self.target!r} is no path of this gateway, such as /users/7")
        if not self.method.isalpha() or self.method != self.method.upper():
            raise ConfigError("method", f"{self.method!r} is not a method such as GET or POST")
        if self.body is not msgspec.UNSET and self.method in {"GET", "HEAD"}:
            raise ConfigError("body", f"{self.method} has none")
        if self.timeout == 0:
            raise ConfigError("timeout", "a timeout of 0s would fail every call")
        if (self.default is msgspec.UNSET) == (self.on_failure == "default"):
            raise ConfigError("default", "belongs to on_failure: default, which needs it")
        _refuse_fields("headers", [*self.headers], _FRAMING)
        _refuse_fields("forward", [*self.forward], _FRAMING)
        _ = self.references, self.filter, _read("target", check_target, self.place)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`user: /users/{params/user}` is a target."""
        return {"target": tree} if isinstance(tree, str) else tree

    @property
    def place(self) -> TextTemplate:
        """The target's template."""
        return _read("target", TextTemplate, self.target)

    @property
    def texts(self) -> dict[str, TextTemplate]:
        """The templates of the header fields."""
        return {name: _read(f"headers.{name}", TextTemplate, text) for name, text in self.headers.items()}

    @property
    def shape(self) -> ValueTemplate | None:
        """The body's template."""
        return None if self.body is msgspec.UNSET else _read("body", _strict, self.body)

    @property
    def filter(self) -> Filter:
        """What is taken over of the answer."""
        return _read("pick", lambda drop: Filter(self.pick, drop), self.drop)

    @property
    def references(self) -> list[Reference]:
        """All that its templates refer to."""
        shape = self.shape
        texts = (self.place, *self.texts.values())
        found = [each for text in texts for each in text.references()]
        return found if shape is None else [*found, *shape.references()]


class AggregateRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route's calls, and the `answer` that is made of theirs; without one, each under its call's name.

    `failed` names the member of the answer, and `partial_status` its status, that tell that a call failed. `internal`
    marks a route that is there for the gateway's own calls alone.
    """

    calls: dict[str, Call] = {}
    answer: Any = msgspec.UNSET
    status: Status = 200
    partial_status: Status | None = None
    headers: dict[str, str] = {}
    failed: str = "failed"
    internal: bool = False

    def __post_init__(self) -> None:
        if not self.calls:
            said = [name for name in ("answer", "headers") if getattr(self, name) not in (msgspec.UNSET, {})]
            if said or not self.internal:
                raise ConfigError("calls", "empty, so there is nothing to make an answer of")
            return
        if len(self.calls) > MOST_CALLS:
            raise ConfigError("calls", f"more than {MOST_CALLS}")
        for name in self.calls:
            if not _NAME.fullmatch(name) or name in REQUEST:
                raise ConfigError(f"calls.{name}", f"{name!r} cannot be the name of a call")
        _refuse_fields("headers", [*self.headers], _OWN)
        self._check_references()
        _ = self.order

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`- aggregate: internal` marks a route."""
        return {"internal": True} if tree == "internal" else tree

    def check_parameters(self, known: Collection[str]) -> None:
        """Refuse references to parameters that the route's path does not have."""
        for place, reference in self._placed():
            name = reference.path[0] if reference.path else ""
            if reference.source == "params" and reference.fallback is None and name and name not in known:
                told = ", ".join(sorted(known)) or "it has none"
                raise ConfigError(place, f"the route's path has no parameter {name!r} ({told})")

    def _check_references(self) -> None:
        known = {*REQUEST, *self.calls}
        for place, reference in self._placed():
            if reference.source not in known:
                sources = ", ".join(sorted(REQUEST))
                message = f"refers to {reference.source!r}, which is no call and no source ({sources})"
                raise ConfigError(place, message)

    def _placed(self) -> Iterator[tuple[str, Reference]]:
        """Yield all references in its templates, each with the key that it stands under."""
        places = {f"calls.{name}": call.references for name, call in self.calls.items()}
        places["answer"] = list(self.shape.references())
        places["headers"] = [each for text in self.texts.values() for each in text.references()]
        for place, references in places.items():
            yield from ((place, reference) for reference in references)

    @property
    def shape(self) -> ValueTemplate:
        """The answer's template."""
        given = self.answer
        if given is msgspec.UNSET:
            given = {name: f"{{{name}}}" for name in self.calls}
        return _read("answer", ValueTemplate, given)

    @property
    def texts(self) -> dict[str, TextTemplate]:
        """The templates of the answer's header fields."""
        return {name: _read(f"headers.{name}", TextTemplate, text) for name, text in self.headers.items()}

    @property
    def order(self) -> dict[str, frozenset[str]]:
        """The calls whose answers each call needs; those that are needed come first.

        Raises:
            ConfigError: two need one another.
        """
        needs = {
            name: {each.source for each in call.references if each.source in self.calls}
            for name, call in self.calls.items()
        }
        sorter, order, places = TopologicalSorter(needs), list[str](), [*self.calls]
        try:
            sorter.prepare()
        except CycleError as fault:
            around = " -> ".join(reversed(fault.args[1]))
            raise ConfigError("calls", f"they wait for one another: {around}") from None
        while ready := sorted(sorter.get_ready(), key=places.index):
            order += ready
            sorter.done(*ready)
        return {name: frozenset(needs[name]) for name in order}


def _strict(template: Any) -> ValueTemplate:
    return ValueTemplate(template, strict=True)


def _read(place: str, read: Callable[[Any], ReadT], given: object) -> ReadT:
    try:
        return read(given)
    except ValueError as fault:
        raise ConfigError(place, str(fault)) from None


def _refuse_fields(place: str, names: list[str], refused: frozenset[str]) -> None:
    for name in names:
        if not _TOKEN.fullmatch(name) or name.lower() in refused:
            raise ConfigError(f"{place}.{name}", f"{name!r} cannot be set here")
