"""The table of providers: one row each, from `providers.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

_REQUIRED: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider: what an upstream of it needs beside a key.

    Attributes:
        name: what configurations and model names call it.
        title: what people call it.
        base_url: where its API is, for its own `dialect`; may refer to the environment, and is empty where each
            account has an address of its own.
        dialect: what it speaks best.
        also: base URLs by other dialects that it speaks.
        keys: variables of the environment that may hold its key; the first that is set counts.
        key: whether there must be one; servers on one's own machine mostly want none.
        auth: what authorizes its requests where no key is set (`upstreams.NAME.auth`).
        auth_keys: variables of the environment of which one tells that `auth` will find credentials.
        auth_needs: the module that `auth` needs, which an installation may lack.
        hosts: what hosts are called that the address, once its references are replaced, names otherwise.
        by_key: whether a key that is set is enough to serve it where no configuration is given. Not so for a
            variable that says nothing of models, or that belongs to another row.
        names: other names for it, those that other tools use among them.
        prices: its name in genai-prices, or several, each with what follows a model's name there.
        quirks: in what it departs from its dialect (`llmproxy.quirks`).
        docs: where it documents its API.
    """

    name: str
    title: str
    docs: str
    keys: tuple[str, ...]
    base_url: str = ""
    dialect: str = "openai"
    also: dict[str, str] = {}
    key: Literal["needed", "optional"] = "needed"
    auth: str = ""
    auth_keys: tuple[str, ...] = ()
    auth_needs: str = ""
    hosts: dict[str, str] = {}
    by_key: bool = True
    names: tuple[str, ...] = ()
    prices: str | dict[str, str] = ""
    quirks: dict[str, Any] = {}

    @property
    def sources(self) -> dict[str, str]:
        """What genai-prices calls it, with the suffix of model names."""
        if isinstance(self.prices, dict):
            return self.prices
        return {self.prices: ""} if self.prices else {}

    def address(self, dialect: str) -> str | None:
        """Return the base URL for a dialect, or None where it has none that is the same for all accounts."""
        beside_chat = dialect == "openai-responses" and self.quirks.get("responses")
        return (self.base_url or None) if dialect == self.dialect or beside_chat else self.also.get(dialect)

    def key_variable(self, environ: Mapping[str, str]) -> str | None:
        """Return the variable that holds the key, or None if none is set."""
        return next((name for name in self.keys if environ.get(name, "").strip()), None)

    def key_variables(self, environ: Mapping[str, str]) -> list[str]:
        """Return the variable that holds the key, and those of further keys: NAME_2, NAME_3, as far as they are set."""
        first = self.key_variable(environ)
        if first is None:
            return []
        further = takewhile(
            lambda name: environ.get(name, "").strip(), (f"{first}_{n}" for n in range(2, 100))
        )
        return [first, *further]

    def is_complete(self, environ: Mapping[str, str]) -> bool:
        """Whether the environment has all that an upstream of it needs."""
        if not self.base_url or not all(environ.get(name) for name in _REQUIRED.findall(self.base_url)):
            return False
        if self.key == "optional" or self.key_variable(environ) is not None:
            return True
        known = bool(self.auth) and any(environ.get(name, "").strip() for name in self.auth_keys)
        return known and (not self.auth_needs or _is_installed(self.auth_needs))


@cache
def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its package is there
        return False


@cache
def providers() -> tuple[Provider, ...]:
    """Return all providers, by name."""
    data = files(__package__).joinpath("providers.json").read_bytes()
    return msgspec.json.decode(data, type=tuple[Provider, ...])


@cache
def by_name() -> Mapping[str, Provider]:
    """Return the providers by every name that they go by."""
    return MappingProxyType({name: row for row in providers() for name in (row.name, *row.names)})


def find_provider(name: str) -> Provider | None:
    """Return the provider of a name, however its letters are cased."""
    return by_name().get(name.lower())


def find_address(base_url: str) -> Provider | None:
    """Return the provider whose address for OpenAI's dialect this is."""
    address = base_url.rstrip("/").lower()
    return next(
        (row for row in providers() if row.dialect == "openai" and row.base_url.lower() == address), None
    )


def named(environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Return the providers that the environment holds a key for."""
    return tuple(row for row in providers() if row.by_key and row.is_complete(environ))
