"""Which route takes a request, and which upstream a model name means. Pure.

Order of a match: the routes of the request's own host, then of `*.` hosts, longest first, then of any host;
within each, an exact path before patterns, patterns by longest literal prefix, and equals by their place in
the config. A route whose method or other conditions do not hold is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

from llmproxy import settings
from llmproxy.exchange import Endpoint
from llmproxy.patterns import NO_PARAMS, PathPattern, compile_path, has_dot_segment, normalise_path
from llmproxy.pools import Pool

if TYPE_CHECKING:
    from llmproxy.dialects import ClientFace

HeaderGetter = Callable[[str], str | None]


class Routable(Protocol):
    """What a router chooses between: anything that says what it matches, as a RouteConfig does."""

    @property
    def match(self) -> settings.Match:
        """The conditions."""


RouteT_co = TypeVar("RouteT_co", bound=Routable, covariant=True)
RouteT = TypeVar("RouteT", bound=Routable)


@dataclass(frozen=True, slots=True)
class Match(Generic[RouteT_co]):
    """The route that takes a request, with its path's parameters."""

    route: RouteT_co
    params: Mapping[str, str]
    #: The face of its callers, where the path alone tells it; put here with a match that is remembered.
    face: ClientFace | None = None


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """Routes match but for the method: answer 405 with `Allow` from `allowed`, sorted."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadPath:
    """The path holds dot segments, raw or encoded, and reaches no route: answer 400."""

    reason: str = "The path holds a dot segment."


#: Names whose meaning is remembered, and how long they may be: callers send few, and must not fill the memory with
#: others.
_REMEMBERED: Final = 1024
_LONGEST: Final = 256

#: Names that may lead to one another before a model is reached.
MOST_ALIASES: Final = 8

BAD_PATH: Final = BadPath()

NO_POOLS: Final[Mapping[str, Pool]] = MappingProxyType({})


class Router(Generic[RouteT]):
    """An immutable table of routes."""

    def __init__(self, routes: Iterable[RouteT]) -> None:
        self._any = _Table[RouteT]()
        self._hosts: dict[str, _Table[RouteT]] = {}
        self._suffixes: list[tuple[str, _Table[RouteT]]] = []
        places = count()
        #: Whether no route asks for header or query fields, so that a match may be remembered.
        self.unconditional = True
        for route in routes:
            if route.match.headers or route.match.query:
                self.unconditional = False
            self._table_for(route.match.host).add(_Candidate(route, next(places)))
        self._suffixes.sort(key=lambda entry: len(entry[0]), reverse=True)
        for table in (self._any, *self._hosts.values(), *(table for _, table in self._suffixes)):
            table.sort()

    def match(
        self, method: str, host: str, path: str, header: HeaderGetter, query: str
    ) -> Match[RouteT] | MethodNotAllowed | BadPath | None:
        """Find the route of a request.

        `host` is the Host field as sent; `path` the raw path, without the query; `header` looks a field up by
        its lower-case name; `query` is the raw query string, without its question mark.
        """
        request = (method, header, query)
        if not (self._hosts or self._suffixes):  # the usual case, kept short
            for candidate in self._any.exact.get(path, ()):
                if candidate.accepts(*request):
                    return candidate.match
        path = normalise_path(path)
        if has_dot_segment(path):
            return BAD_PATH
        allowed: set[str] = set()
        for table in self._tables(host):
            if found := table.find(path, request, allowed):
                return found
        return MethodNotAllowed(tuple(sorted(allowed))) if allowed else None

    def _table_for(self, host: str | None) -> _Table[RouteT]:
        if host is None:
            return self._any
        host = host.lower()
        if not host.startswith("*."):
            return self._hosts.setdefault(host, _Table())
        suffix = host[1:]
        for known, table in self._suffixes:
            if known == suffix:
                return table
        self._suffixes.append((suffix, _Table()))
        return self._suffixes[-1][1]

    def _tables(self, host: str) -> Sequence[_Table[RouteT]]:
        if not (self._hosts or self._suffixes):
            return (self._any,)
        name = _host_name(host)
        tables = [self._hosts[name]] if name in self._hosts else []
        tables += [table for suffix, table in self._suffixes if name.endswith(suffix) and name != suffix]
        return (*tables, self._any)


class _Candidate(Generic[RouteT]):
    """A route compiled for matching."""

    __slots__ = ("conditional", "headers", "match", "methods", "pattern", "place", "query", "route")

    def __init__(self, route: RouteT, place: int) -> None:
        conditions = route.match
        self.route = route
        self.place = place
        self.match = Match(route, NO_PARAMS)
        self.pattern: PathPattern = compile_path(conditions.path)
        self.methods = None if conditions.methods is None else frozenset(conditions.methods)
        self.headers = tuple((name.lower(), value) for name, value in conditions.headers.items())
        self.query = tuple(conditions.query.items())
        self.conditional = bool(self.headers or self.query)

    def accepts(self, method: str, header: HeaderGetter, query: str) -> bool:
        """Whether every condition but the path holds."""
        if self.methods is not None and method not in self.methods:
            return False
        return not self.conditional or self.conditions_hold(header, query)

    def conditions_hold(self, header: HeaderGetter, query: str) -> bool:
        """Whether the header and query conditions hold."""
        for name, expected in self.headers:
            value = header(name)
            if value is None or expected not in {"*", value}:
                return False
        if not self.query:
            return True
        pairs = parse_qsl(query, keep_blank_values=True)
        return all(
            any(key == name and expected in {"*", value} for key, value in pairs)
            for name, expected in self.query
        )


@dataclass(slots=True)
class _Table(Generic[RouteT]):
    """The routes of one host."""

    exact: dict[str, list[_Candidate[RouteT]]] = field(default_factory=dict)
    patterns: list[_Candidate[RouteT]] = field(default_factory=list)

    def add(self, candidate: _Candidate[RouteT]) -> None:
        """Put a route where its path belongs."""
        literal = candidate.pattern.literal
        if literal is None:
            self.patterns.append(candidate)
        else:
            self.exact.setdefault(literal, []).append(candidate)

    def sort(self) -> None:
        """Bring the patterns into the order they are tried in."""
        self.patterns.sort(key=lambda each: (tuple(-part for part in each.pattern.specificity), each.place))

    def find(
        self, path: str, request: tuple[str, HeaderGetter, str], allowed: set[str]
    ) -> Match[RouteT] | None:
        """Return the first route that takes the request; collect the methods of those that all but did."""
        method, header, query = request
        for candidate in self.exact.get(path, ()):
            if candidate.accepts(method, header, query):
                return candidate.match
            _note(candidate, header, query, allowed)
        for candidate in self.patterns:
            params = candidate.pattern.match(path)
            if params is None:
                continue
            if candidate.accepts(method, header, query):
                return Match(candidate.route, params) if params else candidate.match
            _note(candidate, header, query, allowed)
        return None


def _note(candidate: _Candidate[RouteT], header: HeaderGetter, query: str, allowed: set[str]) -> None:
    if candidate.methods is not None and candidate.conditions_hold(header, query):
        allowed |= candidate.methods


def _host_name(host: str) -> str:
    """Strip port, trailing dot and case off a Host field."""
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].removesuffix(".")


class ModelTable:
    """What model names mean on one route.

    In this order: a name of the table, `upstream/model`, the table's wildcards by the length of what they
    spell out, the route's own upstreams with the name unchanged. A name that leads to another name means what that
    one means to `universe`, or here.
    """

    def __init__(
        self,
        models: Mapping[str, settings.ModelConfig],
        upstreams: Collection[str] = (),
        defaults: Sequence[str] | Pool = (),
        universe: ModelTable | None = None,
        pools: Mapping[str, Pool] = NO_POOLS,
    ) -> None:
        self._pools = pools
        self._exact = {name: model for name, model in models.items() if "*" not in name}
        wildcards = [(name.partition("*"), model) for name, model in models.items() if "*" in name]
        wildcards.sort(key=lambda entry: -len(entry[0][0] + entry[0][2]))
        self._wildcards = [(before, after, model) for (before, _, after), model in wildcards]
        self._upstreams = frozenset(upstreams)
        self._known: dict[str, tuple[Endpoint, ...] | None] = {}
        self._defaults = defaults if isinstance(defaults, Pool) else tuple(defaults)
        self._universe = universe or self

    @classmethod
    def for_route(
        cls,
        config: settings.Config,
        route: settings.RouteConfig,
        pools: Mapping[str, Pool] = NO_POOLS,
        own: Pool | None = None,
    ) -> ModelTable:
        """Make a route's table. What a caller can reach through a route is what the route names, and no more.

        A route that writes `models` serves those alone. One that names upstreams serves what leads to them, and takes
        any other name for one of theirs. One that names neither serves all that is configured.
        """
        everything = [name for name in config.upstreams if _serves_models(config, name)]
        if route.models is not None:
            universe = cls({**config.models, **route.models}, everything, pools=pools)
            return cls(route.models, universe=universe, pools=pools)
        named = config.upstreams_of(route)
        reachable = named or tuple(config.upstreams)
        upstreams = [name for name in everything if name in reachable]
        defaults: Sequence[str] | Pool = named if own is None else own
        universe = cls(config.models, everything, defaults, pools=pools)
        models = {
            name: model for name, model in config.models.items() if universe.leads(name, model, reachable)
        }
        return cls(models, upstreams, defaults, universe, pools)

    def resolve(self, name: str) -> tuple[Endpoint, ...] | None:
        """Return the targets of a model name, best first; None when it means nothing here."""
        try:
            return self._known[name]
        except KeyError:
            found = self._resolve(name)
            if len(self._known) < _REMEMBERED and len(name) <= _LONGEST:
                self._known[name] = found
            return found

    def leads(self, name: str, model: settings.ModelConfig, upstreams: Collection[str]) -> bool:
        """Whether a name of the table, or every name that its wildcard takes, leads to these upstreams alone."""
        targets = self._follow(model, name, "*" if "*" in name else None, 0)
        return targets is not None and all(target.upstream in upstreams for target in targets)

    def _resolve(self, name: str, depth: int = 0) -> tuple[Endpoint, ...] | None:
        if (model := self._exact.get(name)) is not None:
            return self._follow(model, name, None, depth)
        upstream, _, rest = name.partition("/")
        if rest and upstream in self._upstreams:
            return (Endpoint(upstream, rest),)
        for before, after, model in self._wildcards:
            end = len(name) - len(after)
            if end >= len(before) and name.startswith(before) and name.endswith(after):
                return self._follow(model, name, name[len(before) : end], depth)
        if isinstance(self._defaults, Pool):
            return self._defaults  # its endpoints leave the name as it is, or have their own
        return tuple(Endpoint(upstream, name) for upstream in self._defaults) or None

    def _follow(
        self, model: settings.ModelConfig, name: str, star: str | None, depth: int
    ) -> tuple[Endpoint, ...] | None:
        """Return where an entry leads; `star` is what stands for its name's wildcard."""
        if model.upstream is not None:
            return (Endpoint(model.upstream, name if model.model is None else _starred(model.model, star)),)
        if model.pool is not None:
            return self._pools.get(model.pool)
        if model.alias is None or depth == MOST_ALIASES:
            return None
        return self._universe._resolve(_starred(model.alias, star), depth + 1)

    def knows(self, name: str) -> bool:
        """Whether a name is written out, is taken by a wildcard, or names one of the upstreams before a slash."""
        if name in self._exact:
            return True
        upstream, _, rest = name.partition("/")
        starred = any(
            name.startswith(before) and name.endswith(after) for before, after, _ in self._wildcards
        )
        return (bool(rest) and upstream in self._upstreams) or (starred and self.resolve(name) is not None)

    def names(self) -> tuple[str, ...]:
        """Return the public names that are written out, in the config's order."""
        return tuple(self._exact)

    def offered(self, models_of: Callable[[str], Iterable[str]]) -> Iterator[str]:
        """Yield names that nobody wrote out, but that lead to models of upstreams, as `models_of` tells them.

        These are `upstream/model`, and what wildcards take; a name may come twice.
        """
        for before, after, target in self._patterns():
            head, _, tail = (target.model or "").partition("*")
            for model in models_of(target.upstream):
                end = len(model) - len(tail)
                if end < len(head) or not (model.startswith(head) and model.endswith(tail)):
                    continue
                name = before + model[len(head) : end] + after
                # What leads elsewhere, by a rule that comes earlier, is another model's name. Not remembered: see there.
                found = None if name in self._exact else self._resolve(name)
                if found is not None and found[0] == Endpoint(target.upstream, model):
                    yield name

    def _patterns(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Yield what stands around a `*` in names that are not written out, each with its target, `*` in its model."""
        for upstream in self._upstreams:
            yield f"{upstream}/", "", Endpoint(upstream, "*")
        for before, after, entry in self._wildcards:
            targets = self._follow(entry, f"{before}*{after}", "*", 0)
            if targets and (targets[0].model or "").count("*") == 1:
                yield before, after, targets[0]


def _starred(name: str, star: str | None) -> str:
    return name if star is None else name.replace("*", star)


def _serves_models(config: settings.Config, upstream: str) -> bool:
    return upstream in config.upstreams and config.upstreams[upstream].dialect != "http"
