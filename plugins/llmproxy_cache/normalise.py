"""When two prompt texts mean the same: Unicode, white space, and what changes from call to call without meaning.

Only the key is made of normalised text; what is sent upstream stays as it came. Whatever is changed here raises
`VERSION`, so that entries stored under the older reading are never found by the newer.
"""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # what the public module was, under its new name
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, Literal
from unicodedata import normalize

import msgspec

from llmproxy.plugin import ConfigError

VERSION: Final = 1

Preset = Literal["iso-dates", "times", "unix-times", "uuids", "request-ids"]

#: What is volatile, by name. The patterns are bounded, and begin with what is rare.
PRESETS: Final[dict[str, str]] = {
    "iso-dates": r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)",
    "times": r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm])?(?:Z|[+-]\d{2}:?\d{2})?(?![\d:])",
    "unix-times": r"(?<![\d.])1\d{9}(?:\d{3})?(?!\d)",
    "uuids": r"(?<![0-9A-Za-z-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z-])",
    "request-ids": (
        r"(?<![0-9A-Za-z])(?:[Rr]eq(?:uest)?|[Tt]race|[Cc]orrelation)[_-]?(?:[Ii][Dd])?[_=:-] ?"
        r"(?=[0-9A-Za-z-]{0,63}\d)[0-9A-Za-z-]{8,64}"
    ),
}

#: Ways in which a pattern may try one place of a text before it gives up.
MOST_WAYS: Final = 1024
#: Characters of a pattern, and of a text in which anything is looked for: in a longer one everything counts.
_LONGEST: Final = 512
_LONG_TEXT: Final = 32 * 1024


class Normalisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How prompt texts are compared; `patterns` are regular expressions whose matches are all the same."""

    unicode: Literal["nfc", "keep"] = "nfc"
    space: Literal["keep", "trim", "collapse"] = "trim"
    volatile: tuple[Preset, ...] = ()
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for index, pattern in enumerate(self.patterns):
            refuse_slow(pattern, f"patterns[{index}]")


class Normaliser:
    """Brings a prompt text into the form that stands for all texts of its meaning."""

    __slots__ = ("text", "version")

    def __init__(self, config: Normalisation) -> None:
        steps = _steps(config)
        #: Names the reading: equal versions give equal texts for equal texts.
        self.version = f"{VERSION}.{blake2b(msgspec.json.encode(config), digest_size=6).hexdigest()}"
        self.text: Callable[[str], str] = _trimmed if config == Normalisation() else _Steps(steps)


def _trimmed(text: str) -> str:
    """Do what the defaults say, with one call a text."""
    if "\r" in text:
        text = _lines(text)
    text = text.strip()
    return text if text.isascii() else normalize("NFC", text)


class _Steps:
    """Several changes, one after another."""

    __slots__ = ("_steps",)

    def __init__(self, steps: tuple[Callable[[str], str], ...]) -> None:
        self._steps = steps

    def __call__(self, text: str) -> str:
        for step in self._steps:
            text = step(text)
        return text


def _steps(config: Normalisation) -> tuple[Callable[[str], str], ...]:
    steps: list[Callable[[str], str]] = []
    if config.unicode == "nfc":
        steps.append(lambda text: text if text.isascii() else normalize("NFC", text))
    if config.space != "keep":
        steps.append(_lines)
        steps.append(str.strip if config.space == "trim" else lambda text: " ".join(text.split()))
    rules: list[tuple[str, str]] = [(name, PRESETS[name]) for name in config.volatile]
    rules += [(f"pattern-{blake2b(own.encode(), digest_size=6).hexdigest()}", own) for own in config.patterns]
    if rules:
        # A text that holds the sign of a replacement must not pass for one in which something was replaced.
        steps.append(lambda text: text.replace("\0", "\0\0"))
    steps += [_replacing(re.compile(pattern), f"\0{name}\0") for name, pattern in rules]
    return tuple(steps)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _replacing(pattern: re.Pattern[str], sign: str) -> Callable[[str], str]:
    return lambda text: text if len(text) > _LONG_TEXT else pattern.sub(lambda _: sign, text)


def refuse_slow(pattern: str, place: str) -> None:
    """Refuse a regular expression that a caller's text could make slow.

    Raises:
        ConfigError: it is broken, matches nothing at all, or may try one place of a text in too many ways.
    """
    try:
        parsed = sre.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as fault:
        raise ConfigError(place, f"not a regular expression: {fault}") from None
    if len(pattern) > _LONGEST:
        raise ConfigError(place, f"longer than {_LONGEST} characters")
    if compiled.match("") is not None:
        raise ConfigError(place, "matches the empty text, so it would match everywhere")
    if ways(parsed) > MOST_WAYS or parsed.getwidth()[1] > MOST_WAYS:
        raise ConfigError(
            place,
            "could take very long on some texts; bound its repetitions, such as \\w{1,64} in place of \\w+, "
            "and let none stand inside another",
        )


def ways(parsed: Any) -> int:
    """Return in how many ways a parsed pattern may try one place of a text, as far as they are worth counting."""
    total = 1
    for kind, argument in reversed(list(parsed)):
        if str(kind) in ("ASSERT", "ASSERT_NOT"):
            # What was found ahead or behind is not tried in another way.
            total += ways(argument[1])
        else:
            total *= _ways_of(str(kind), argument)
        if total > MOST_WAYS:
            return MOST_WAYS + 1
    return total


def _ways_of(kind: str, argument: Any) -> int:
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _repeated(*argument)
    if kind == "BRANCH":
        return sum(ways(branch) for branch in argument[1])
    if kind == "SUBPATTERN":
        return ways(argument[-1])
    if kind == "ATOMIC_GROUP":
        return ways(argument)
    # What looks back at what was matched is as slow as its text wants it to be.
    return MOST_WAYS + 1 if kind in ("GROUPREF", "GROUPREF_EXISTS") else 1


def _repeated(least: int, most: int, inner: Any) -> int:
    each = ways(inner)
    if most > MOST_WAYS:
        return MOST_WAYS + 1
    if each == 1:
        return int(most) - int(least) + 1
    return MOST_WAYS + 1 if most > 12 else int(each ** int(most)) * (int(most) - int(least) + 1)
