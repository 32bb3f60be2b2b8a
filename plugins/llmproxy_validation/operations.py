"""What one operation takes and gives: parameters, bodies by media type, answers by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmproxy.plugin import Headers
from llmproxy_validation.bodies import BadJson, read_json
from llmproxy_validation.faults import Fault
from llmproxy_validation.parameters import ABSENT, REPEATED, Parameter, cookie_pairs, query_pairs, typed
from llmproxy_validation.schemas import Checker

_FORM = "application/x-www-form-urlencoded"
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", ""})


@dataclass(frozen=True, slots=True)
class Media:
    """One kind of body; without a checker only its type counts. `members` are the types inside a form."""

    checker: Checker | None = None
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)


#: Bodies by media type or range, in lower case.
Content = Mapping[str, Media]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `content` None says nothing of a body, `replies` None nothing of answers."""

    name: str
    parameters: Sequence[tuple[Parameter, Checker | None]] = ()
    content: Content | None = None
    body_required: bool = False
    replies: Mapping[str, Content] | None = None

    def judge_parameters(
        self, path: Mapping[str, str], query: str, headers: Headers, most: int
    ) -> list[Fault]:
        """Return what is wrong with a request's parameters."""
        faults: list[Fault] = self._disguised(query) if ";" in query or "[" in query or "%" in query else []
        places = {
            "path": list(path.items()),
            "query": query_pairs(query),
            "cookie": cookie_pairs("; ".join(headers.get_all("cookie"))),
        }
        for parameter, checker in self.parameters:
            pairs = (
                places[parameter.place] if parameter.place != "header" else _fields(headers, parameter.name)
            )
            value = parameter.read(pairs)
            pointer = f"/{parameter.name}"
            if value is REPEATED:
                if checker is not None:
                    faults.append(Fault(parameter.place, pointer, "is there more than once"))
            elif value is not ABSENT and checker is not None:
                found = checker.check(value, parameter.place, most)
                faults += [Fault(each.place, pointer + each.pointer, each.detail) for each in found]
            elif value is ABSENT and parameter.required:
                faults.append(Fault(parameter.place, pointer, "is missing"))
            if len(faults) >= most:
                break
        return faults[:most]

    def _disguised(self, query: str) -> list[Fault]:
        """Return the declared parameters that some readers find where others see none, and so unjudged.

        They stand behind a semicolon, which some take for an ampersand, or before brackets, as a list or an object.
        """
        given = {parameter.name: parameter for parameter, _ in self.parameters if parameter.place == "query"}
        plain = {name for name, parameter in given.items() if parameter.style != "deepObject"}
        spelled = Counter(name for name, _ in query_pairs(query))
        behind = Counter(name for name, _ in query_pairs(query.replace(";", "&"))) - spelled
        before = {name.partition("[")[0] for name in spelled.keys() - given.keys() if "[" in name}
        odd = sorted(plain & (behind.keys() | before))
        return [
            Fault("query", f"/{name}", "is spelled in a way that readers take differently") for name in odd
        ]

    def unknown_query(self, query: str) -> bool:
        """Whether a query has a parameter that is not declared."""
        given = [parameter for parameter, _ in self.parameters if parameter.place == "query"]
        known = {name for parameter in given for name in parameter.names}
        deep = {parameter.name for parameter in given if parameter.style == "deepObject"}
        # What stands in brackets is a member to some readers, and so as good as undeclared where none is meant.
        return any(
            name not in known and (name == (owner := name.partition("[")[0]) or owner not in deep)
            for name, _ in query_pairs(query)
        )

    def reply_content(self, status: int) -> Content | None:
        """Return what is declared for a status: itself, its class (`2XX`), or `default`; None for nothing."""
        replies = self.replies or {}
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in replies:
                return replies[key]
        return None


def media_of(content: Content, content_type: str) -> Media | None:
    """Return what is declared for a content type, by itself or by a range; None for nothing."""
    kind = content_type.partition(";")[0].strip().lower()
    for key in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if key in content:
            return content[key]
    return None


def is_utf8(content_type: str) -> bool:
    """Whether a content type names no charset but UTF-8 and what is part of it: texts in others are not judged."""
    parameters = (piece.partition("=") for piece in content_type.lower().split(";")[1:])
    told = [value.strip(' \t"') for name, _, value in parameters if name.strip() == "charset"]
    return all(value in _CHARSETS for value in told)


def judge_body(media: Media, content_type: str, body: bytes, most: int) -> Sequence[Fault]:
    """Return what is wrong with a body of a declared kind; only JSON and forms are looked into."""
    kind = content_type.partition(";")[0].strip().lower()
    if media.checker is None:
        return ()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            value = read_json(body)
        except BadJson as fault:
            return [Fault("body", "", str(fault))]
    elif kind == _FORM:
        value, twice = _form(body, media.members)
        if twice is not None:
            return [Fault("body", f"/{twice}", "is there more than once")]
    else:
        return ()
    return media.checker.check(value, "body", most, size=len(body))


def _form(body: bytes, members: Mapping[str, frozenset[str]]) -> tuple[dict[str, Any], str | None]:
    """Return a form's fields, and the name of one that is there more than once where one is meant."""
    texts: dict[str, list[Any]] = {}
    for name, text in query_pairs(body.decode("utf-8", "replace")):
        texts.setdefault(name, []).append(typed(text, members.get(name, frozenset())))
    several = {name for name, kinds in members.items() if "array" in kinds}
    twice = next((name for name in members if len(texts.get(name, ())) > 1 and name not in several), None)
    return {n: found if len(found) > 1 or n in several else found[0] for n, found in texts.items()}, twice


def _fields(headers: Headers, name: str) -> list[tuple[str, str]]:
    values = headers.get_all(name)
    return [(name, ",".join(values))] if values else []
