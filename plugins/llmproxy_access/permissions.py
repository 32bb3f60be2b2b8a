"""What a caller may use: lists of names, and what they come to together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llmproxy.plugin import Caller, ConfigError


class NameList:
    """Names of models or routes; a `*` stands for any text, once in each."""

    __slots__ = ("_exact", "_wild", "names")

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._exact = frozenset(name for name in self.names if "*" not in name)
        self._wild = tuple(name.split("*") for name in self.names if "*" in name)

    def holds(self, name: str) -> bool:
        """Say whether a name is in the list."""
        return name in self._exact or any(
            len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after)
            for before, after in self._wild
        )

    def __repr__(self) -> str:
        return f"NameList({self.names!r})"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who a credential stands for and what he may use: each list of models and of routes has to hold it.

    `expires` is wall time, None for never.
    """

    caller: Caller
    models: tuple[NameList, ...] = ()
    routes: tuple[NameList, ...] = ()
    expires: float | None = None

    @property
    def model_check(self) -> Callable[[str], bool] | None:
        """What says whether a model may be asked for; None where any may."""
        return self._may_ask if self.models else None

    def may_pass(self, route: str) -> bool:
        """Say whether a route may be used."""
        return all(names.holds(route) for names in self.routes)

    def _may_ask(self, model: str) -> bool:
        return all(names.holds(model) for names in self.models)


def check_names(path: str, names: Iterable[str] | None) -> None:
    """Refuse a list that allows nothing, or one that cannot be read.

    Raises:
        ConfigError: by the path of what is wrong.
    """
    if names is None:
        return
    listed = tuple(names)
    if not listed:
        raise ConfigError(path, "empty, so nothing could be used; leave it out for all")
    for name in listed:
        if not name or name.count("*") > 1:
            raise ConfigError(path, f"{name!r} is neither a name nor one with a single *")
