"""Conditions of targets: `when` in CEL, the Common Expression Language, as cel-expr-python (cel-cpp) judges it.

It is the C++ implementation by those who specify the language: expressions are parsed and checked for their types when
the gateway starts, cannot loop or call out, are bounded in depth and steps, and match by RE2. It is an optional package,
for those who write conditions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from llmproxy.plugin import ConfigError, Exchange, Place, StateKey, TargetConfig

if TYPE_CHECKING:
    from llmproxy_balance.facts import Facts

#: Characters of one condition.
LONGEST: Final = 4096
#: Why a place is passed over.
UNMET: Final = "its condition is not met"
#: Fields of a query that are looked at.
_MOST_FIELDS: Final = 64
_NAME: Final = re.compile(r"[a-z_]+")
#: What the library puts around its words: `INTERNAL: Iteration budget exceeded [INTERNAL]`.
_STATUS: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_TEXT: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")

Variables = dict[str, Any]


def _headers(exchange: Exchange) -> Mapping[str, str]:
    index = exchange.request.headers.index
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in index.items()}


def _query(exchange: Exchange) -> Mapping[str, str]:
    pairs = parse_qsl(exchange.request.query[: 64 * 1024], keep_blank_values=True)
    return dict(pairs[:_MOST_FIELDS])


def _body_size(exchange: Exchange) -> int:
    """Return the bytes of the body: of what is here, else what the caller said; -1 where nobody knows yet."""
    body = exchange.body_at_hand
    if body is not None:
        return len(body)
    length = exchange.request.headers.index.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 16 else -1


#: What a condition may ask about: the type's name, what stands for it while it is tried out, and how it is read.
VARIABLES: Final[dict[str, tuple[str, Any, Callable[[Exchange], Any]]]] = {
    "headers": ("map", {}, _headers),
    "query": ("map", {}, _query),
    "labels": ("map", {}, lambda exchange: dict(exchange.caller.labels)),
    "tenant": ("STRING", "", lambda exchange: exchange.caller.tenant),
    "key": ("STRING", "", lambda exchange: exchange.caller.key),
    "model": ("STRING", "", lambda exchange: exchange.model or ""),
    "path": ("STRING", "", lambda exchange: exchange.request.path),
    "method": ("STRING", "", lambda exchange: exchange.request.method),
    "body_size": ("INT", 0, _body_size),
    "streamed": ("BOOL", False, lambda exchange: exchange.streamed),
}

_READ: Final[StateKey[Variables]] = StateKey("balance.variables")


class Condition:
    """One compiled condition."""

    __slots__ = ("_evaluate", "_needs", "source")

    def __init__(self, source: str, evaluate: Callable[..., Any]) -> None:
        self.source = source
        self._evaluate = evaluate
        words = set(_NAME.findall(_TEXT.sub("", source)))
        self._needs = tuple((name, read) for name, (_, _, read) in VARIABLES.items() if name in words)

    def met(self, exchange: Exchange) -> bool | None:
        """Whether a request meets it; None where that could not be judged.

        What asks for a member that is not there, such as a header that was not sent, is not met.
        """
        known = exchange.state.get(_READ)
        if known is None:
            known = exchange.state[_READ] = {}
        for name, read in self._needs:
            if name not in known:
                known[name] = read(exchange)
        try:
            value = self._evaluate(data=known).value()
        except Exception:  # the library raises whatever it likes
            return None
        if value is True or value is False:
            return bool(value)
        return False if str(value).startswith("NOT_FOUND") else None


class Conditions:
    """All conditions of a generation: checked as targets, judged as a gate."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._environment: Any = None
        self._compiled: dict[str, Condition] = {}
        self._told: set[str] = set()

    def check(self, target: TargetConfig) -> None:
        """Compile a target's condition.

        Raises:
            ConfigError: it is none, asks about what does not exist, or compares what cannot be compared.
        """
        if target.when is not None and target.when not in self._compiled:
            self._compiled[target.when] = self.compile(target.when)

    def __call__(self, exchange: Exchange, place: Place) -> str:
        """Return "" where a place has no condition or it is met, else why not."""
        source = place.settings.when
        if source is None:
            return ""
        condition = self._compiled.get(source)
        if condition is None:  # whoever made this place had no configuration checked
            condition = self._compiled[source] = self.compile(source)
        met = condition.met(exchange)
        if met:
            return ""
        if met is None:
            self._facts.count("conditions", place.label)
            if source not in self._told:
                self._told.add(source)
                self._facts.warn("condition_failed", place=place.name, when=source)
            return "its condition could not be judged"
        return UNMET

    def compile(self, source: str) -> Condition:
        """Compile a condition.

        Raises:
            ConfigError: see `check`; or the optional package is not installed.
        """
        if len(source) > LONGEST:
            raise ConfigError("when", f"longer than {LONGEST} characters")
        cel = _library()
        if self._environment is None:
            self._environment = _environment(cel)
        blanks = {name: blank for name, (_, blank, _) in VARIABLES.items()}
        try:
            expression = self._environment.compile(source)
            tried = str(expression.eval(data=blanks).value())
        except Exception as fault:  # it tells of mistakes, and of too many steps, by a RuntimeError
            raise ConfigError("when", _reason(str(fault))) from None
        if expression.return_type() != cel.Type.BOOL:
            kind = expression.return_type().name().lower()
            raise ConfigError("when", f"a condition is true or false, and this is a {kind}")
        if "invalid regular expression" in tried:
            raise ConfigError("when", _reason(tried))
        return Condition(source, expression.eval)


def _library() -> Any:
    try:
        from cel_expr_python import cel  # noqa: PLC0415  # optional, and 14 MB
    except ImportError:
        message = "needs the package cel-expr-python: pip install 'llmproxy-gateway[conditions]'"
        raise ConfigError("when", message) from None
    return cel


def _environment(cel: Any) -> Any:
    kinds = cel.Type
    texts = kinds.Map(kinds.STRING, kinds.STRING)
    types = {
        name: texts if kind == "map" else getattr(kinds, kind) for name, (kind, _, _) in VARIABLES.items()
    }
    return cel.NewEnv(variables=types)


def _reason(told: str) -> str:
    """Return the first mistake that the library tells, in one line: `ERROR: <input>:1:9: Syntax error: ...`."""
    first = next(
        (line for line in told.splitlines() if "<input>:" in line),
        told.partition("\n")[0],
    )
    where = re.search(r"<input>:(\d+):(\d+): ", first)
    text = first[where.end() :] if where else first
    text = _STATUS.sub("", text.replace(" (in container '')", "").strip())[:200]
    return f"column {where[2]}: {text}" if where and where[1] == "1" else text
