"""References to secrets and to the environment inside configuration text.

`${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` may stand anywhere in a string value; `$${` is a
literal `${`. The value and the text it came from stay together, so that what is printed shows the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import ClassVar, Final

from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key

ReadFile = Callable[[str], str]

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_ENV: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FILE: Final = re.compile(r"file:(\S.*)")
_MAX_DEPTH: Final = 64
_MAX_SHOWN: Final = 60


class Resolved(str):
    """A string that holds what its references stood for; its repr is the text as it was written."""

    __slots__ = ("has_default", "reference")

    reference: str
    has_default: bool

    def __new__(cls, value: str, reference: str, *, has_default: bool = False) -> Resolved:
        self = super().__new__(cls, value)
        self.reference = reference
        self.has_default = has_default
        return self

    def __repr__(self) -> str:
        return repr(self.reference)


class Secret:
    """A credential: prints as its reference, gives its value to `reveal()` alone.

    A subclass with `accepts_literal = True` lets the configuration hold the value itself.
    """

    __slots__ = ("_value", "reference")

    accepts_literal: ClassVar[bool] = False

    def __init__(self, value: str, reference: str = "***") -> None:
        self._value = value
        self.reference = reference

    def reveal(self) -> str:
        """Return the value, for the one place that sends or compares it."""
        return self._value

    def __str__(self) -> str:
        return self.reference

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reference})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never serialised")

    @classmethod
    def from_plain(cls, value: object) -> Secret:
        """Wrap a decoded value, or raise a ValueError that never repeats it."""
        if not isinstance(value, str):
            raise ValueError("expected a string that holds a reference")  # noqa: TRY004  # msgspec's contract
        literal = not isinstance(value, Resolved)
        if literal and not cls.accepts_literal:
            raise ValueError("a secret is not written out; write it as ${env:NAME} or ${file:PATH}")
        if not value.strip():
            raise ValueError("the secret is empty")
        if isinstance(value, Resolved):
            if value.has_default:
                raise ValueError("a secret takes no default; write it as ${env:NAME} or ${file:PATH}")
            return cls(str.__str__(value), value.reference)
        return cls(value)


def quoted(text: str) -> str:
    """Quote a configured string for a message: the reference if there is one, never more than a line."""
    shown = text.reference if isinstance(text, Resolved) else text
    shown = shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 3] + "..."
    return '"' + shown.replace("\n", " ") + '"'


class Interpolation:
    """Replace the references of a decoded tree and collect what could not be replaced in `errors`."""

    def __init__(self, environ: Mapping[str, str], read_file: ReadFile) -> None:
        self._environ = environ
        self._read_file = read_file
        self.errors: list[ConfigError] = []

    def replace(self, node: object, path: str = "", depth: int = 0) -> object:
        """Return the tree with each string that holds references replaced by a `Resolved`."""
        if isinstance(node, str):
            return self._text(node, path) if "${" in node else node
        if not isinstance(node, dict | list):
            return node
        if depth >= _MAX_DEPTH:
            self.errors.append(ConfigError(path[:_MAX_SHOWN], f"nested deeper than {_MAX_DEPTH} levels"))
            return None
        if isinstance(node, list):
            return [self.replace(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(node)]
        return {key: self.replace(item, join_key(path, key), depth + 1) for key, item in node.items()}

    def _text(self, text: str, path: str) -> str:
        parts: list[str] = []
        end, found, has_default = 0, False, False
        for match in _REFERENCE.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            if match[1] is None:
                parts.append("${")
                continue
            found = True
            has_default = has_default or (match[1].startswith("env:") and ":-" in match[1])
            try:
                parts.append(self._lookup(match[0], match[1]))
            except ValueError as error:
                self.errors.append(ConfigError(path, str(error)))
        parts.append(text[end:])
        value = "".join(parts)
        return Resolved(value, text, has_default=has_default) if found else value

    def _lookup(self, whole: str, inner: str) -> str:
        if whole.endswith("}") and (env := _ENV.fullmatch(inner)):
            return self._variable(env[1], env[2])
        if whole.endswith("}") and (file := _FILE.fullmatch(inner)):
            return self._file(file[1])
        raise ValueError(
            f"{quoted(whole)} is not a reference; write ${{env:NAME}}, ${{env:NAME:-default}} or"
            " ${file:/path}, and $${ for a plain ${"
        )

    def _variable(self, name: str, default: str | None) -> str:
        value = self._environ.get(name, default)
        if value is None:
            raise ValueError(f'environment variable "{name}" is not set')
        return value

    def _file(self, name: str) -> str:
        try:
            return self._read_file(name).rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f'file "{name}" is not UTF-8 text') from None
        except OSError as error:
            raise ValueError(
                f'file "{name}" cannot be read: {error.strerror or type(error).__name__}'
            ) from None
