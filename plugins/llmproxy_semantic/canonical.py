"""One form for texts that say the same: case, space, contractions, politeness, number words, spelling. Pure.

Nothing is touched in quotes, code, URLs and paths, nor at the beginning of a line, where space may mean something. Two
texts of one form mean the same to whoever answers them; that two texts have two forms says nothing.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final
from unicodedata import normalize

from llmproxy_semantic.wording import (
    CONTRACTIONS,
    FILLERS,
    NAMES_IN_CAPITALS,
    NUMBERS,
    SCALES,
    SPELLINGS,
    VERSION,
)

#: The name of this form; another one finds other entries.
NAME: Final = f"canonical-{VERSION}"

_QUOTES: Final = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ", "\x00": " ", "\x01": " "}
)

#: What stays as it was written: code and quotations, then words with signs in them, addresses and paths.
_QUOTED: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]*\"|(?<![\w'])'[^'\n]{2,}'(?!\w)", re.DOTALL
)
_WRITTEN: Final = re.compile(r"\S+")
_SIGNS: Final = frozenset("\\<>={}[]|^$#@_*+~")
#: Stands where something is kept, and behind capitals that are a name; no text has them by itself.
_PLACE: Final = "\x00"
_NAME: Final = "\x01"
#: Characters of a text above which it is its own form.
_LONGEST: Final = 32 * 1024

_GREETING: Final = (
    r"(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening|day))"
    r"(?: (?:there|all|everyone|everybody|guys|folks|team|assistant))?"
)
_ASKING: Final = (
    r"(?:(?:can|could|would|will) you (?:please |kindly |possibly )?"
    r"(?:help me (?:with (?:this|the following)|out)|tell me|answer (?:this|the following|this question))"
    r"|(?:i have|i've got|here is|here's) (?:a|one|this) (?:quick |short |small )?question(?: for you)?"
    r"|(?:a )?(?:quick|short|simple) question"
    r"|i need (?:some |your )?help with (?:this|the following)"
    r"|i (?:would|'d) like to know|i want to know|i was wondering|i am wondering|i'm wondering|just wondering"
    r"|(?:please|pls|plz|kindly) (?:tell me|help me with this|help)"
    r"|please|pls|plz|kindly|excuse me|sorry)"
)
#: What may stand before a question. A wish is no wrapper where what follows would not stand alone ("tell me about").
_BEFORE: Final = re.compile(
    rf"(?:{_GREETING}(?:\s*[,.!:;-]+\s*|\s+(?=i |can |could |what|how|why|who|where|when|which|please))"
    rf"|{_ASKING}(?:\s*[,.!:;?-]+\s*|\s+(?=what|how|why|who|where|when|which|is |are |do |does |did |can |if ))"
    rf"|(?:please|pls|plz|kindly)\s+"
    rf"|(?:can|could|would|will) you (?:please|kindly|pls|plz)\s+)",
)
#: What may stand behind one.
_BEHIND: Final = re.compile(
    r"[\s,.!?;:-]*(?:(?<=[\s,.!?;:-])(?:please|pls|plz|thank you(?: (?:very|so) much| in advance)?"
    r"|thanks(?: a lot| so much| in advance)?|many thanks|thx|ty|cheers|any help (?:is|would be) appreciated))[\s.!]*$"
)
_WORD: Final = re.compile(r"[a-z\u00df-\u00ff]+(?:['-][a-z\u00df-\u00ff]+)*")
_CAPITALS: Final = re.compile(r"\b[A-Z]{2,5}\b")
_GROUPED: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PERCENT: Final = re.compile(r"(?<=\d) ?(?:percent|per cent|%)")
_SCALED: Final = re.compile(r"(?<![\d.-])(\d{1,3}) (hundred|thousand|million|billion)(?![\w-])")
_LINE_SPACE: Final = re.compile(r"(?<=\S)[ \t]+")
_ENDS: Final = " .!,;:"
_QUESTION: Final = re.compile(
    r"(?:what|how|why|who|whom|whose|where|when|which|is|are|am|was|were|do|does|did|can|could|will|would|should"
    r"|shall|may|might|must|has|have|had|if|in|at|for|to|on)\b"
)
#: Where a question may begin: "In short: what is DNS?"
_CLAUSE: Final = re.compile(r"[:,] ")
#: Wrappers that are taken off, one after the other.
_MOST_WRAPPERS: Final = 4
_LONGEST_THANKS: Final = 80


def canonicalise(text: str) -> str:
    """Return the one form of a text."""
    if len(text) > _LONGEST:
        return text
    kept: list[str] = []
    plain = normalize("NFC", text).translate(_QUOTES)
    plain = _QUOTED.sub(partial(_keep, kept), plain)
    plain = _WRITTEN.sub(partial(_keep_written, kept), plain)
    if plain.upper() != plain:
        plain = _CAPITALS.sub(_named, plain)
    plain = _unwrapped(_spaced(plain).lower())
    plain = _GROUPED.sub(lambda found: found.group().replace(",", ""), plain)
    plain = _WORD.sub(_worded, plain)
    plain = _SCALED.sub(lambda found: str(int(found[1]) * SCALES[found[2]]), plain)
    plain = _ended(_LINE_SPACE.sub(" ", _PERCENT.sub("%", plain)))
    return "".join(_put_back(plain, kept)) if kept else plain


def _keep(kept: list[str], found: re.Match[str]) -> str:
    kept.append(found.group())
    return _PLACE


def _keep_written(kept: list[str], found: re.Match[str]) -> str:
    word = found.group()
    if _PLACE in word or (_SIGNS.isdisjoint(word) and "://" not in word and word[0] != "/"):
        return word
    return _keep(kept, found)


def _named(found: re.Match[str]) -> str:
    word = found.group()
    return word + _NAME if word in NAMES_IN_CAPITALS else word


def _spaced(text: str) -> str:
    """Return a text with one space and one line's end where there are several; how a line begins may mean something."""
    lines = _LINE_SPACE.sub(" ", text.strip()).split("\n")
    return "\n".join([line.rstrip() for line in lines if line and not line.isspace()])


def _unwrapped(text: str) -> str:
    """Return a text without greetings, wishes and thanks around it; what has nothing else stays as it is."""
    for _ in range(_MOST_WRAPPERS):
        found = _BEFORE.match(text)
        if found is None or not text[found.end() :].strip(" .!?"):
            break
        text = text[found.end() :]
        if " you " in found.group():
            text = text.rstrip("?")  # it was the wish that asked
    for _ in range(_MOST_WRAPPERS):
        found = _BEHIND.search(text, max(0, len(text) - _LONGEST_THANKS))
        if found is None or not text[: found.start()].strip(" .!?"):
            break
        text = text[: found.start()] + ("?" if "?" in found.group() else "")
    return text


def _worded(found: re.Match[str]) -> str:
    word = found.group()
    if word in FILLERS:
        return ""
    word = CONTRACTIONS.get(word, word)
    number = NUMBERS.get(word)
    return str(number) if number is not None else SPELLINGS.get(word, word)


def _ended(text: str) -> str:
    """Return a text without the signs at its end that say no more than its words."""
    text = text.strip().rstrip(_ENDS)
    bare = text.rstrip("?! .")
    return bare if text.endswith("?") and any(map(_QUESTION.match, _CLAUSE.split(bare))) else text


def _put_back(plain: str, kept: list[str]) -> list[str]:
    pieces = plain.split(_PLACE)
    return [part for pair in zip(pieces, [*kept, ""], strict=True) for part in pair]
