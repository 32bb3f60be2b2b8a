"""LiteLLM's lists of fallbacks: which names a name falls back to, and after which failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from llmproxy.importing.walking import Note, Walk

#: LiteLLM's list of a kind of failure, and this gateway's word for the kind; empty for all others.
_LISTS: Final = (
    ("fallbacks", ""),
    ("context_window_fallbacks", "window"),
    ("content_policy_fallbacks", "policy"),
)

#: As many names as LiteLLM goes on to unless it is told otherwise.
_MOST: Final = 5


class Fallback(NamedTuple):
    """A name that stands in for another, after failures of a kind or ("") of any; `path` is where that stands."""

    name: str
    kind: str
    path: str


class Fallbacks:
    """What `router_settings` and `litellm_settings` say; the former counts where both do."""

    def __init__(self, router: Walk, library: Walk) -> None:
        most = router.take("max_fallbacks")
        self._most = most if isinstance(most, int) and most > 0 else _MOST
        self.lists: dict[str, list[Fallback]] = {}
        self._default: list[Fallback] = []
        for key, kind in _LISTS:
            for section in (router, library):
                path, given = section.first(key)
                self._read(given, kind, path, section)
        self._default += [
            Fallback(name, "", path)
            for section in (router, library)
            for path, given in [section.first("default_fallbacks")]
            for name in (given if isinstance(given, list) else [])
            if isinstance(name, str)
        ]

    def of(self, name: str) -> list[Fallback]:
        """Return what a name falls back to."""
        found = list(self.lists.get(name, ()))
        if not any(each.kind == "" for each in found):
            found += [each for each in self._default if each.name != name]
        return [each for kind in ("", "window", "policy") for each in self._first(found, kind)]

    def _first(self, found: list[Fallback], kind: str) -> list[Fallback]:
        return [each for each in found if each.kind == kind][: self._most]

    def _read(self, given: Any, kind: str, path: str, section: Walk) -> None:
        if given is None:
            return
        for index, entry in enumerate(given if isinstance(given, list) else [given]):
            if not isinstance(entry, dict):
                section.notes.append(Note(f"{path}[{index}]", "not a mapping of a name to a list"))
                continue
            for name, names in entry.items():
                place = f"{path}[{index}].{name}"
                read = list(self._names(names, kind, place, section))
                if name == "*" and kind == "":
                    self._default += read
                else:
                    self.lists.setdefault(str(name), []).extend(read)

    def _names(self, names: Any, kind: str, path: str, section: Walk) -> Iterator[Fallback]:
        for index, each in enumerate(names if isinstance(names, list) else [names]):
            if isinstance(each, str):
                yield Fallback(each, kind, f"{path}[{index}]")
            else:
                text = "a fallback with parameters of its own; only names are carried"
                section.notes.append(Note(f"{path}[{index}]", text))
