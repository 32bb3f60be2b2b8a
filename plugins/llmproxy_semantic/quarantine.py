"""Answers and pairs that were judged wrong, so that they are not served again. Pure; bounded, oldest first out."""

from __future__ import annotations

from typing import Final, TypeVar

#: Times that an entry is judged wrong until it is served to nobody by likeness.
STRIKES: Final = 2
MOST: Final = 4096

K = TypeVar("K")
V = TypeVar("V")


class Quarantine:
    """Entries that were judged wrong, by their exact keys."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._strikes: dict[bytes, int] = {}

    def strike(self, key: bytes) -> bool:
        """Hear that an entry was wrong for a question; return whether it is held back from now on."""
        strikes = self._strikes.pop(key, 0) + 1
        _put(self._strikes, key, strikes, self._most)
        return strikes == STRIKES

    def holds(self, key: bytes) -> bool:
        """Tell whether an entry is held back."""
        return self._strikes.get(key, 0) >= STRIKES

    def release(self, key: bytes) -> None:
        """Forget an entry: another answer is kept under its key now."""
        self._strikes.pop(key, None)

    def __len__(self) -> int:
        return sum(strikes >= STRIKES for strikes in self._strikes.values())


class Vetoes:
    """Pairs of a question, by a digest, and an entry's exact key, that were judged wrong."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._pairs: dict[tuple[bytes, bytes], None] = {}

    def add(self, question: bytes, key: bytes) -> None:
        """Remember that an entry is no answer to a question."""
        self._pairs.pop((question, key), None)
        _put(self._pairs, (question, key), None, self._most)

    def __contains__(self, pair: tuple[bytes, bytes]) -> bool:
        return pair in self._pairs

    def __len__(self) -> int:
        return len(self._pairs)


def _put(into: dict[K, V], key: K, value: V, most: int) -> None:
    into[key] = value
    if len(into) > most:
        del into[next(iter(into))]
