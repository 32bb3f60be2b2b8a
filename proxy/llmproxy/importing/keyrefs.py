"""A foreign file's texts and secrets, as this one's configuration refers to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmproxy.importing.walking import Note

_ENVIRON: Final = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")

#: What people write where a key is asked for and none is needed.
_STAND_INS: Final = re.compile(
    r"|x|none|null|empty|dummy|fake|any|anything|n/?a|placeholder|(no|not|not[-_])?[-_]?(key|needed|required)"
    r"|(my[-_]|sk[-_])?(fake|dummy|none|test)([-_]key)?",
    re.IGNORECASE,
)

_COPIED: Final = "a secret is written out here and was not copied: set {name} to it"


class KeyRefs:
    """Turns `os.environ/NAME` into references, and keys written out into references to variables yet to be set."""

    def __init__(self, tree: object, notes: list[Note]) -> None:
        self._notes = notes
        self._variables: dict[str, str] = {}
        self._taken = set(_named(tree))

    def text(self, value: object) -> str:
        """Return a value as text of this configuration."""
        text = str(value)
        found = _ENVIRON.fullmatch(text)
        return f"${{env:{found[1]}}}" if found else text.replace("${", "$${")

    def secret(self, value: object, wish: str, path: str, told: str = _COPIED) -> str | None:
        """Return a reference to a secret, by the variable named or one like `wish`; None where it is none.

        `told` is the note of a secret that is not named by a variable; `{name}` in it is that which is to be set.
        """
        text = str(value)
        if _ENVIRON.fullmatch(text):
            return self.text(text)
        if text.startswith("os.environ/"):
            self._notes.append(Note(path, "names no variable, so it was left out"))
            return None
        if _STAND_INS.fullmatch(text):
            self._notes.append(Note(path, "a stand-in for a key, so it was left out"))
            return None
        name = self._variables.get(text)
        if name is None:
            name = self._variables[text] = self._free(wish)
        self._notes.append(Note(path, told.format(name=name)))
        return f"${{env:{name}}}"

    def _free(self, wish: str) -> str:
        name, number = wish, 1
        while name in self._taken:
            number += 1
            name = _numbered(wish, number)
        self._taken.add(name)
        return name


def _numbered(variable: str, number: int) -> str:
    """Return another name like a variable's: not `OPENAI_API_KEY_2`, which is a further key of that upstream."""
    before, end, _ = variable.partition("_API_KEY")
    if not end:
        before, end, last = variable.rpartition("_")
        end += last
    return f"{before}_{number}{end}" if before else f"{variable}_{number}"


def _named(tree: object) -> Iterator[str]:
    """Yield every variable that the file names already."""
    if isinstance(tree, Mapping):
        items: Any = tree.values()
    elif isinstance(tree, list):
        items = tree
    else:
        found = _ENVIRON.fullmatch(tree) if isinstance(tree, str) else None
        if found:
            yield found[1]
        return
    for item in items:
        yield from _named(item)
