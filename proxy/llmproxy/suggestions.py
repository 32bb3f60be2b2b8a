"""Errors for names that nothing answers to, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.references import quoted


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_key(path: str, key: str, known: Iterable[str], instead: str | None = None) -> ConfigError:
    """Say that a key is not one of those a section has; `instead` what to do, where that is known."""
    names = sorted(known)
    if instead is not None:
        return ConfigError(join_key(path, key), f"unknown key {quoted(key)}; {instead}")
    suggestion = nearest(key, names)
    message = f"unknown key {quoted(key)}"
    if suggestion is None and names:
        message += f" (known: {', '.join(names)})"
    return ConfigError(join_key(path, key), message, suggestion)


def unknown_name(path: str, kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Say that a name stands for nothing that is configured, e.g. `unknown upstream "mian"`."""
    names = sorted(known)
    suggestion = nearest(name, names)
    message = f"unknown {kind} {quoted(name)}"
    if suggestion is None:
        message += f" (known: {', '.join(names)})" if names else f" (no {kind} is configured)"
    return ConfigError(path, message, suggestion)
