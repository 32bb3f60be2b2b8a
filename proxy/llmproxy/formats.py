"""Configuration text into plain trees: YAML, TOML and JSON read alike.

YAML is read by the 1.2 core schema, so that `off`, `no`, `12:30` and `2024-10-21` are text, as they look.
A key written twice is refused in every format.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Hashable
from typing import Any, Final, Literal, get_args

import orjson
import yaml

from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.references import quoted

Format = Literal["yaml", "toml", "json"]
Tree = dict[str, Any]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH: Final = 64
_MOST_VALUES: Final = 1_000_000
_MERGE: Final = "tag:yaml.org,2002:merge"
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}:]')


def format_of(name: str) -> Format:
    """Tell a file's format from its name; anything but .toml and .json is YAML."""
    ending = name.rpartition(".")[2].lower()
    return ending if ending in get_args(Format) else "yaml"  # type: ignore[return-value]


def parse(text: str | bytes, format: Format, source: str = "config") -> Tree:
    """Read configuration text, or raise ConfigErrors with the source and the line."""
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        tree = _READERS[format](decoded)
        tree = {} if tree is None else tree
        if not isinstance(tree, dict):
            raise ValueError("the whole of it is not a mapping")  # noqa: TRY004  # told like the rest
        _check_keys(tree)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigErrors([ConfigError(where, error.problem or "not YAML")]) from None
    except RecursionError:
        raise ConfigErrors([ConfigError(source, "nested too deeply")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigErrors([ConfigError(source, _one_line(error, format))]) from None
    return tree


class _StrictLoader(_Loader):  # type: ignore[misc]
    """The safe loader with YAML 1.2's scalars, that refuses a key written twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own shape

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not text", key.start_mark)
            if key.value in seen:
                problem = f"duplicate key {quoted(key.value)}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep=deep))


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), [c.strip("\0") for c in _first]
    )


def _parse_yaml(text: str) -> object:
    _check_shape(text)
    return yaml.load(text, _StrictLoader)  # noqa: S506  # a SafeLoader underneath


def _check_shape(text: str) -> None:
    """Refuse deep nesting from the events: the C loader recurses without a limit and would crash.

    Likewise aliases of aliases: a few hundred bytes can stand for more values than anybody could read.
    """
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    size = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, size))
            if len(open_) > _MAX_DEPTH:
                raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = size - before
        elif isinstance(event, yaml.NodeEvent):
            size += 1 + (sizes.get(str(event.anchor), 0) if isinstance(event, yaml.AliasEvent) else 0)
            if size > _MOST_VALUES:
                raise ValueError(f"holds more than {_MOST_VALUES} values, aliases followed")


def _parse_json(text: str) -> object:
    tree = orjson.loads(text)
    _refuse_duplicates(text)
    return tree


def _refuse_duplicates(text: str) -> None:
    """Find keys written twice in valid JSON; orjson keeps the last of them without a word."""
    open_objects: list[set[str]] = []
    last = ""
    for match in _JSON_TOKEN.finditer(text):
        mark = match[0]
        if mark == "{":
            open_objects.append(set())
        elif mark == "}":
            open_objects.pop()
        elif mark == ":":
            key = orjson.loads(last)
            if key in open_objects[-1]:
                raise ValueError(
                    f"duplicate key {quoted(key)} on line {text.count(chr(10), 0, match.start()) + 1}"
                )
            open_objects[-1].add(key)
        last = mark


_READERS: Final[dict[Format, Callable[[str], object]]] = {
    "yaml": _parse_yaml,
    "toml": tomllib.loads,
    "json": _parse_json,
}


def _check_keys(tree: object) -> None:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise ValueError(f'the key {key} is not text; write it in quotes, "{key}"')  # noqa: TRY004
            _check_keys(value)
    elif isinstance(tree, list):
        for item in tree:
            _check_keys(item)


def _one_line(error: Exception, format: Format) -> str:
    text = " ".join(str(error).split())
    syntax = (yaml.YAMLError, orjson.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError)
    return f"not {format.upper()}: {text}" if isinstance(error, syntax) else text
