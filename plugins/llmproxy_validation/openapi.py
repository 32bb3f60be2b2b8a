"""OpenAPI 3.0, 3.1 and 3.2 documents: which operation a request is, compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from llmproxy.plugin import normalise_path
from llmproxy_validation.operations import Content, Media, Operation
from llmproxy_validation.parameters import STYLES, Parameter
from llmproxy_validation.schemas import DOCUMENT, BadSchema, Checker, registry_of

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_NAME: Final = re.compile(r"\{([^{}/]+)\}")

#: References that may lead to one another.
_MOST_STEPS: Final = 16

#: Headers that OpenAPI leaves to other parts of the document (§4.8.12.1).
_NOT_PARAMETERS: Final = frozenset({"accept", "content-type", "authorization"})


class _Node:
    """A part of a document, and where it stands: what it refers to, if it refers."""

    def __init__(self, root: Mapping[str, Any], value: Any, pointer: str) -> None:
        self.root, self.value, self.pointer = root, value, pointer
        for _ in range(_MOST_STEPS):
            if not isinstance(self.value, dict) or "$ref" not in self.value:
                return
            self._follow(str(self.value["$ref"]))
        raise BadSchema(f"{pointer}: refers in a circle")

    def _follow(self, reference: str) -> None:
        if not reference.startswith("#/"):
            raise BadSchema(
                f"{self.pointer}: {reference!r} is elsewhere, and nothing is fetched; bundle the document"
            )
        value: Any = self.root
        for step in unquote(reference[2:]).split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(name)] if isinstance(value, list) else value[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise BadSchema(f"{self.pointer}: {reference!r} is not in the document") from None
        self.value, self.pointer = value, unquote(reference[1:])

    def at(self, key: str | int) -> _Node | None:
        """Return what is below, None where nothing is."""
        inside = self.value
        known = inside.get(key) if isinstance(inside, dict) else None
        if isinstance(inside, list) and isinstance(key, int) and key < len(inside):
            known = inside[key]
        if known is None:
            return None
        step = str(key).replace("~", "~0").replace("/", "~1")
        return _Node(self.root, known, f"{self.pointer}/{step}")

    def items(self, key: str) -> Iterator[tuple[str, _Node]]:
        """Yield the members of a mapping below, by name."""
        below = self.at(key)
        for name in below.value if below is not None and isinstance(below.value, dict) else ():
            found = below.at(name) if below is not None else None
            if found is not None:
                yield str(name), found

    def text(self, key: str, default: str) -> str:
        """Return a text below."""
        return str(self.value.get(key, default))


class Document:
    """An OpenAPI document; all of it is compiled at once, so that what is wrong with it is told at the start."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        """Compile a document.

        Raises:
            BadSchema: it is none, or holds what cannot be judged; the text says where.
        """
        version = str(tree.get("openapi", ""))
        if not re.match(r"3\.[012](\.|$)", version):
            raise BadSchema(f"is no OpenAPI 3 document (openapi: {version!r})")
        root: Mapping[str, Any] = _modern(tree) if version.startswith("3.0") else tree
        self._registry = registry_of(root)
        self._operations: list[tuple[re.Pattern[str], Mapping[str, str], dict[str, Operation]]] = []
        found = [self._path(path, item) for path, item in _Node(root, root, "").items("paths")]
        # What is spelled out comes before what a name stands for.
        self._operations = sorted(found, key=lambda each: len(each[1]))

    def find(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]] | tuple[str, ...] | None:
        """Return an operation with its path's parameters; the methods that the path has instead; None for no path."""
        backwards = normalise_path(path)[::-1]
        for pattern, names, operations in self._operations:
            found = pattern.fullmatch(backwards)
            if found is None:
                continue
            operation = operations.get(method) or (operations.get("GET") if method == "HEAD" else None)
            if operation is None:
                return tuple(sorted(operations))
            return operation, {names[group]: unquote(text[::-1]) for group, text in found.groupdict().items()}
        return None

    def _path(
        self, path: str, item: _Node
    ) -> tuple[re.Pattern[str], Mapping[str, str], dict[str, Operation]]:
        names = {f"p{number}": name for number, name in enumerate(_NAME.findall(path))}
        common = list(_list(item, "parameters"))
        operations = {
            method.upper(): self._operation(f"{method.upper()} {path}", found, common)
            for method in _METHODS
            if (found := item.at(method)) is not None
        }
        return _expression(path), names, operations

    def _operation(self, name: str, node: _Node, common: Sequence[_Node]) -> Operation:
        parameters = {
            (p.place, p.name): (p, c) for p, c in self._parameters([*common, *_list(node, "parameters")])
        }
        body = node.at("requestBody")
        replies = {
            status.replace("xx", "XX"): self._content(reply) for status, reply in node.items("responses")
        }
        return Operation(
            name,
            tuple(parameters.values()),
            None if body is None else self._content(body),
            body is not None and body.value.get("required") is True,
            replies,
        )

    def _parameters(self, nodes: Sequence[_Node]) -> Iterator[tuple[Parameter, Checker | None]]:
        for node in nodes:
            place, name = node.text("in", ""), node.text("name", "")
            if place not in STYLES:
                raise BadSchema(f"{node.pointer}: in: {place!r} is not known")
            if place == "header" and name.lower() in _NOT_PARAMETERS:
                continue
            style = node.text("style", STYLES[place][0])
            if style not in STYLES[place]:
                raise BadSchema(f"{node.pointer}: the style {style!r} is not read")
            kept = next(iter(node.items("content")), None)
            schema = node.at("schema") if kept is None else kept[1].at("schema")
            explode = node.value.get("explode", style == "form")
            required = node.value.get("required") is True
            items = frozenset() if schema is None else kinds_of(schema.at("items"))
            yield (
                Parameter(
                    name,
                    place,
                    required,
                    style,
                    explode is True,
                    kinds_of(schema),
                    items,
                    _members(schema),
                    kept is not None,
                ),
                self._checker(schema),
            )

    def _content(self, node: _Node) -> Content:
        return {
            kind.partition(";")[0].strip().lower(): Media(
                self._checker(media.at("schema")), _members(media.at("schema"))
            )
            for kind, media in node.items("content")
        }

    def _checker(self, schema: _Node | None) -> Checker | None:
        if schema is None:
            return None
        try:
            reference = {"$ref": f"{DOCUMENT}#{quote(schema.pointer, safe='/~')}"}
            return Checker(reference, self._registry)
        except BadSchema as fault:
            raise BadSchema(f"{schema.pointer}: {fault}") from None


def _expression(path: str) -> re.Pattern[str]:
    """Return what takes a path that is written backwards, its parameters as groups.

    Of several parameters in one segment each begins where the text before it stands last, for good. Else they would
    be tried in every way, which takes hours for a path of a few kilobytes.
    """
    literals = [re.escape(normalise_path(part)[::-1]) for part in _NAME.split(path)[::2]]
    text = literals[-1]
    for number in range(len(literals) - 2, 0, -1):
        text += f"(?>(?P<p{number}>[^/]+?){literals[number]})"
    return re.compile(text if len(literals) == 1 else f"{text}(?P<p0>[^/]+){literals[0]}")


def kinds_of(schema: _Node | None, depth: int = 0) -> frozenset[str]:
    """Return the types that a schema names, alternatives included."""
    if schema is None or not isinstance(schema.value, dict) or depth > 3:
        return frozenset()
    told = schema.value.get("type", ())
    kinds = {told} if isinstance(told, str) else {str(each) for each in told}
    if not kinds and "properties" in schema.value:
        kinds = {"object"}
    for key in ("allOf", "anyOf", "oneOf"):
        for each in _list(schema, key):
            kinds |= kinds_of(each, depth + 1)
    return frozenset(kinds)


def _members(schema: _Node | None) -> dict[str, frozenset[str]]:
    return {} if schema is None else {name: kinds_of(each) for name, each in schema.items("properties")}


def _list(node: _Node, key: str) -> Iterator[_Node]:
    below = node.at(key)
    for index in range(len(below.value) if below is not None and isinstance(below.value, list) else 0):
        found = below.at(index) if below is not None else None
        if found is not None:
            yield found


def _modern(value: Any) -> Any:
    """Return a part of a 3.0 document as 3.1 says the same: `nullable`, and exclusive bounds as numbers."""
    if isinstance(value, list):
        return [_modern(each) for each in value]
    if not isinstance(value, dict):
        return value
    out = {key: _modern(each) for key, each in value.items()}
    if out.get("nullable") is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if isinstance(out.get("enum"), list) and None not in out["enum"]:
            out["enum"] = [*out["enum"], None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
            out[exclusive] = out.pop(bound)
    return out
