"""How hard a prompt looks, from what can be counted in it: a score from 0 to 1 with named parts. Pure.

No model is asked and nothing is learnt: the same prompt always has the same score, and each part says what it adds. It
tells a one-line question from a long debugging session well enough to send the first to a small model; it does not know
what is true or hard to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import log2
from typing import Final, NamedTuple

import msgspec

from llmproxy.canonical import GenerateRequest, Message, Text, ToolCall, ToolResult
from llmproxy.plugin import ConfigError, Exchange, Place, Pool, StateKey
from llmproxy_balance.facts import Facts
from llmproxy_balance.reading import talk_of

#: What each part adds at most; together they are 1.
WEIGHTS: Final[Mapping[str, float]] = {
    "length": 0.25,
    "reasoning": 0.25,
    "code": 0.20,
    "tools": 0.15,
    "turns": 0.15,
}
#: Characters of a prompt that are looked at, from its end: the end is what is asked now.
_READ: Final = 64 * 1024

#: Characters that count as nothing, and as everything: between them each doubling adds as much.
_SHORT, _LONG = 200, 24_000
_MOST_TURNS: Final = 16
_MOST_TOOLS: Final = 12
_MOST_WORDS: Final = 4
_MOST_CODE: Final = 12

# Blanks of one line alone: what may begin at any of many lines must not read on through all the others each time.
_CODE: Final = re.compile(
    r"```|^[ \t]*(?:def|class|function|fn|func|import|from|package|public|private|const|let|var|#include|SELECT|CREATE|"
    r"Traceback)\b|[;{}][ \t]*$|=>|->|::|</?[a-z]+>",
    re.MULTILINE,
)
#: What people write where they want something thought through; German, French and Spanish words beside English ones.
REASONING: Final = (
    "step by step",
    "prove",
    "proof",
    "derive",
    "analyse",
    "analyze",
    "compare",
    "trade-off",
    "tradeoff",
    "why",
    "explain",
    "reason",
    "evaluate",
    "debug",
    "refactor",
    "optimise",
    "optimize",
    "design",
    "architecture",
    "algorithm",
    "complexity",
    "theorem",
    "hypothesis",
    "plan",
    "beweise",
    "begründe",
    "analysiere",
    "vergleiche",
    "warum",
    "démontre",
    "analyse",
    "pourquoi",
    "compara",
    "demuestra",
    "analiza",
)


class Complexity(NamedTuple):
    """A score and what each part of it adds."""

    score: float
    parts: dict[str, float]

    def __str__(self) -> str:
        """Tell the score and its parts; nothing of the prompt."""
        parts = ", ".join(f"{name} {added:.2f}" for name, added in self.parts.items() if added)
        return f"{self.score:.2f} ({parts or 'nothing'})"


def complexity_of(talk: GenerateRequest, words: Sequence[str] = ()) -> Complexity:
    """Return how hard a conversation looks; `words` count as reasoning words beside the known ones."""
    text = asked = _tail(_texts(talk.messages))
    turns = [turn for turn in talk.messages if turn.role == "user"]
    if turns:
        asked = _tail(_texts(turns[-1:]))
    found = {
        "length": _between(len(text) + sum(len(block.text) for block in talk.system)),
        "reasoning": _share(_reasoning(asked, words) + 2 * _thinks(talk), _MOST_WORDS),
        "code": _share(len(_CODE.findall(text)), _MOST_CODE),
        "tools": _share(len(talk.tools) + 2 * _calls(talk.messages), _MOST_TOOLS),
        "turns": _share(len(talk.messages) - 1, _MOST_TURNS),
    }
    parts = {name: round(WEIGHTS[name] * share, 4) for name, share in found.items()}
    return Complexity(min(1.0, round(sum(parts.values()), 4)), parts)


def _texts(messages: Iterable[Message]) -> Iterable[str]:
    for message in messages:
        for block in message.content:
            if isinstance(block, Text):
                yield block.text
            elif isinstance(block, ToolResult):
                yield from (inner.text for inner in block.content if isinstance(inner, Text))


def _tail(texts: Iterable[str]) -> str:
    return "\n".join(texts)[-_READ:]


def _between(length: int) -> float:
    return 0.0 if length <= _SHORT else min(1.0, log2(length / _SHORT) / log2(_LONG / _SHORT))


def _share(count: float, most: int) -> float:
    return min(1.0, max(0.0, count / most))


def _reasoning(text: str, words: Sequence[str]) -> int:
    return len(set(_pattern(tuple(words)).findall(text.lower())))


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    known = _patterns.get(words)
    if known is None:
        every = sorted({word.lower() for word in chain(REASONING, words)}, key=len, reverse=True)
        # Word endings count too: "analysed", "reasoning".
        known = re.compile(r"\b(" + "|".join(map(re.escape, every)) + r")")
        if len(_patterns) < _MOST_PATTERNS:
            _patterns[words] = known
    return known


#: Compiled once for each list of words that a configuration has.
_patterns: Final[dict[tuple[str, ...], re.Pattern[str]]] = {}
_MOST_PATTERNS: Final = 64


def _thinks(talk: GenerateRequest) -> bool:
    """Whether the caller asks for thought himself."""
    thinking = talk.thinking
    return thinking is not None and (
        bool(thinking.enabled) or thinking.effort in {"medium", "high", "xhigh", "max"}
    )


def _calls(messages: Iterable[Message]) -> int:
    return sum(isinstance(block, ToolCall) for message in messages for block in message.content)


class ComplexityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which score on each place is used.

    `thresholds` are scores in rising order, one fewer than there are places: below the first it is the first place,
    and so on; or a mapping of places' names to the least score of each. `words` count as reasoning words too.
    """

    thresholds: tuple[float, ...] | dict[str, float] = (0.35,)
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        scores = self.thresholds.values() if isinstance(self.thresholds, dict) else self.thresholds
        if not all(0 <= score <= 1 for score in scores):
            raise ConfigError("thresholds", "a score is from 0 to 1")
        if not isinstance(self.thresholds, dict) and list(scores) != sorted(scores):
            raise ConfigError("thresholds", "not in rising order")


#: How the request was judged, for `explain`.
JUDGED: Final[StateKey[Complexity]] = StateKey("balance.complexity")


class ByComplexity:
    """Simple prompts to the first places, hard ones to the last; who fails is followed by the next bigger one."""

    def __init__(self, pool: Pool, options: ComplexityOptions, facts: Facts) -> None:
        self._pool = pool.name
        self._words = options.words
        self._facts = facts
        self._least = _least(pool, options.thresholds)
        #: From the smallest to the biggest place.
        self._rank = {place.label: rank for rank, place in enumerate(_rising(pool, self._least))}

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return the place for this score, then bigger ones, then smaller ones from the biggest down."""
        talk = talk_of(exchange)
        if talk is None or not places:
            return places
        judged = exchange.state[JUDGED] = complexity_of(talk, self._words)
        # Who waits for failures has no score; the line-up leaves him out.
        rising = sorted(places, key=lambda place: self._rank.get(place.label, len(self._rank)))
        fitting = [at for at, place in enumerate(rising) if self._least.get(place.label, 2.0) <= judged.score]
        own = rising[fitting[-1] if fitting else 0].label
        chosen = next(at for at, place in enumerate(rising) if place.label == own)
        self._facts.count("complexity", self._pool, own)
        return [*rising[chosen:], *rising[:chosen][::-1]]


def _least(pool: Pool, thresholds: Sequence[float] | Mapping[str, float]) -> dict[str, float]:
    """Return the least score of each place, by its name."""
    names = [place.label for place in pool.places if not place.settings.after]
    if isinstance(thresholds, Mapping):
        unknown = next((name for name in thresholds if name not in names), None)
        if unknown is not None:
            raise ConfigError(
                "thresholds",
                f"{unknown!r} is no place of the pool (it has {', '.join(names)})",
            )
        return {name: thresholds.get(name, 0.0) for name in names}
    if len(thresholds) != len(names) - 1:
        message = f"{len(thresholds)} for {len(names)} places; one fewer than there are places"
        raise ConfigError("thresholds", message)
    return dict(zip(names, (0.0, *thresholds), strict=True))


def _rising(pool: Pool, least: Mapping[str, float]) -> list[Place]:
    return sorted(
        (place for place in pool.places if place.label in least), key=lambda place: least[place.label]
    )
