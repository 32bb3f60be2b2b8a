"""Takes credentials out of what is about to be logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from llmproxy.references import Secret

REDACTED: Final = "[redacted]"

_NAMES: Final = (
    r"authorization|api[-_]?key|token|secret|password|passwd|credentials?|private[-_]?key|signature"
)
#: A field of this name holds a credential, unless its value is a number; `first_token` is one of our timeouts.
_SENSITIVE: Final = re.compile(rf"(?!first_token\Z)(?:.*[-_.])?(?:{_NAMES}|cookie)", re.IGNORECASE)
#: What the configuration's own mistakes say of a credential, instead of showing it.
_OURS: Final = r"environment variable \"|file \"|a secret is not written|shorter than \d|missing[;,]"
#: A credential inside a text: after its scheme, after its name, or by its own look.
_SCHEME: Final = re.compile(r"\b(bearer|basic|negotiate)(\s+)[^\s'\",;]+", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"((?:{_NAMES})[\"']?\s*[:=]\s*(?:b?[\"'])?)"
    rf"(?!(?:bearer|basic|negotiate)\s|\d{{1,6}}(?![-\w])|{_OURS})[^\s\"',;&]+",
    re.IGNORECASE,
)
_COOKIE: Final = re.compile(r"(cookie[\"']?\s*[:=]\s*(?:b?[\"'])?)[^\r\n\"']+", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(://)[^\s/?#\"']+@")
_LOOK: Final = re.compile(r"\b(?:sk|pk|rk|gsk|xai|ghp|gho|hf|AIza|eyJ|AKIA)[-_A-Za-z0-9]{12,}[-_.A-Za-z0-9]*")
_SHORTEST_LOOK: Final = 14
_REFERENCE: Final = re.compile(r"(?<!\$)\$\{")
_CACHED_LENGTH: Final = 80
_HARMLESS: Final = frozenset({int, float, bool, type(None)})
_DEPTH: Final = 6


def redact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` with the values of sensitive names, secrets and credentials inside texts replaced."""
    return {
        key: value if type(value) in _HARMLESS else _value(key, value, _DEPTH)
        for key, value in fields.items()
    }


def _value(key: object, value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _HARMLESS:
        return value
    if isinstance(value, Secret):
        return str(value)
    if isinstance(key, str) and is_sensitive(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if kind is dict or kind is list or kind is tuple:
        return _inside(value, depth - 1)
    return redact_text(value.decode("utf-8", "backslashreplace") if kind is bytes else str(value))


def _inside(value: Any, depth: int) -> Any:
    if depth == 0:
        return "..."
    if isinstance(value, dict):
        return {name: _value(name, item, depth) for name, item in value.items()}
    return [_value(None, item, depth) for item in value]


@lru_cache(1024)
def is_sensitive(name: str) -> bool:
    """Whether a field of this name holds a credential."""
    return _SENSITIVE.fullmatch(name) is not None


def redact_text(text: str) -> str:
    """Return `text` without what looks like a credential in it."""
    return _redact_known(text) if len(text) <= _CACHED_LENGTH else _redact_text(text)


def _redact_text(text: str) -> str:
    if " " in text or ":" in text or "=" in text:
        text = _SCHEME.sub(rf"\1\2{REDACTED}", text)
        text = _NAMED.sub(rf"\1{REDACTED}", text)
        text = _COOKIE.sub(rf"\1{REDACTED}", text)
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
    return _LOOK.sub(REDACTED, text) if len(text) >= _SHORTEST_LOOK else text


# most texts of a busy log come again: names of routes, models, upstreams, paths
_redact_known = lru_cache(2048)(_redact_text)


def redact_config(tree: Any, name: str = "") -> Any:
    """Return a configuration's tree with what stands under sensitive names hidden, but for references."""
    if isinstance(tree, dict):
        return {key: redact_config(item, key) for key, item in tree.items()}
    if isinstance(tree, list):
        return [redact_config(item, name) for item in tree]
    if not isinstance(tree, str) or _REFERENCE.search(tree):
        return tree
    return REDACTED if is_sensitive(name) else redact_text(tree)
