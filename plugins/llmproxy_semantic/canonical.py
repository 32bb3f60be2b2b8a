"""One form for texts that say the same: case, space, contractions, politeness, number words, spelling. Pure.

Nothing is touched in quotes, code, URLs, paths and flags, in what a question brings along behind a colon or on further
lines, nor where it is words that are asked about (verbatim.py). A text that is not told to be English keeps its words.
Two texts of one form mean the same to whoever answers them; that two texts have two forms says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final
from unicodedata import normalize

from llmproxy_semantic.glance import (
    CAPITAL,
    CODE,
    FILLER,
    GROUPED,
    IS_ENGLISH,
    IS_NAMED,
    IS_OTHER,
    ODD,
    PERCENT,
    QUOTED,
    SAID,
    SCALED,
    WORDING,
    WRITTEN,
    glance,
)
from llmproxy_semantic.lettercase import keep_where_case_counts
from llmproxy_semantic.tongue import told_small
from llmproxy_semantic.verbatim import brought, is_code, is_of_words, is_written
from llmproxy_semantic.wording import CONTRACTIONS, FILLERS, NUMBERS, SCALES, SPELLINGS, VERSION, words

#: The name of this form; another one finds other entries.
NAME: Final = f"canonical-{VERSION}"

_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " "})
#: Curly quotes where code has straight ones: it may be they that are asked about.
_CURLY_IN_CODE: Final = re.compile("[(=\\[{`] ?[\u2018\u2019\u201c\u201d]")

#: What stays as it was written: code and quotations, then words with signs in them, addresses and paths.
_QUOTED: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`]*`|\"[^\"]*(?:\"|\Z)|(?<![\w'])'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)"
    '|\u201e[^"]*"?|\u00ab[^\u00bb]*\u00bb?|\u300c[^\u300d]*\u300d?',
    re.DOTALL,
)
_WRITTEN: Final = re.compile(r"\S+")
#: Stands where something is kept; a text that has it by itself is its own form.
_PLACE: Final = re.compile("[\U000f0000-\U000ffffd]")
_FIRST_PLACE: Final = 0xF0000
#: Characters of a text above which it is its own form: whatever stands in a shorter one, it takes 3 ms at most.
_LONGEST: Final = 4096

_GREETING: Final = (
    r"(?:(?:hi|hello|hey)(?!,? (?:world|dolly|jude|kitty|good-?bye)\b)|greetings|good (?:morning|afternoon|evening|day))"
    r"(?: (?:there|all|everyone|everybody|guys|folks|team|assistant))?"
)
_ASKING: Final = (
    r"(?:(?:can|could|would|will) you (?:please |kindly |possibly )?"
    r"(?:help me (?:with (?:this|the following)|out)|tell me|answer (?:this|the following|this question))"
    r"|(?:i have|i've got|here is|here's) (?:a|one|this) (?:quick |short |small )?question(?: for you)?"
    r"|(?:a )?(?:quick|short|simple) question"
    r"|i need (?:some |your )?help with (?:this|the following)"
    r"|i(?: would|'d) like to know|i want to know|i was wondering|i am wondering|i'm wondering|just wondering"
    r"|(?:please|pls|plz|kindly) (?:tell me|help me with this|help)"
    r"|please|pls|plz|kindly|excuse me|sorry)"
)
#: What parts either from a question; a hyphen within a word does not.
_PART: Final = r"\s*(?:[,.!:;?]+-*|-+(?=\s))\s*"
#: What may stand before a question. A wish is no wrapper where what follows would not stand alone ("tell me about").
_BEFORE: Final = re.compile(
    rf"(?:{_GREETING}(?:{_PART}|\s+(?=i |can |could |what|how|why|who|where|when|which|please))"
    rf"|{_ASKING}(?:{_PART}|\s+(?=what|how|why|who|where|when|which|is |are |do |does |did |can |if ))"
    rf"|(?:please|pls|plz|kindly)\s+(?!please)"
    rf"|(?:can|could|would|will) you (?:please|kindly|pls|plz)\s+"
    rf"(?!(?:every|some)(?:one|body)|people|(?:an?|the|my|your|him|her|them|me|us|both|all)\b))",
    re.IGNORECASE,
)
#: What may stand behind one.
_BEHIND: Final = re.compile(
    r"(?P<signs>[\s,.!?;]*)(?:(?<=[\s,.!?;])(?:please|pls|plz|thank you(?: (?:very|so) much| in advance)?"
    r"|thanks(?: a lot| so much| in advance)?|many thanks|thx|ty|cheers|any help (?:is|would be) appreciated))[\s.!]*$",
    re.IGNORECASE,
)
#: How all of that ends, and the signs that may stand behind it.
_LAST_OF_THANKS: Final = words("please pls plz you much advance thanks lot thx ty cheers appreciated")
_STOPS: Final = ".!" + "".join(filter(str.isspace, map(chr, range(0x3001))))
#: Behind these words, thanks and wishes are what is spoken of.
_SPOKEN_OF: Final = frozenset(
    words(
        "about is are was were be of for to and or the a an mean means with by very in my no your than call love like"
        " not into from as between using use without say says said write type add"
    )
)
_WORD: Final = re.compile(r"[a-z\u00df-\u00ff]+(?:['-][a-z\u00df-\u00ff]+)*")
#: A list of numbers has no "000" at its end; elsewhere in the world "1,000" is one.
_GROUPED: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})*,000(?![\d,.]*\d)")
_ENGLISH: Final = re.compile(r"\b(?:the|what|how|of|write|dollars?)\b")
_PERCENT: Final = re.compile(r"(?<=\d) ?(?:(?:percent|per cent)\b|%)")
_SCALED: Final = re.compile(r"(?<![\w.,/-])(\d{1,3}) (hundred|thousand|million|billion)(?! and \d| \d|[\w-])")
_FILLER: Final = re.compile(
    r"((?:^(?:is|are|was|were|do|does|did|can) (?:that |the |this )?[a-z]+"
    r"|\b(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|i|you|he|she|it|we|they|people)))"
    rf" (?:{'|'.join(sorted(FILLERS))}) (?=[a-z])(?!mean|an? |the |in |into |and |or )"
)
_LINE_SPACE: Final = re.compile(r"(?<=\S)[ \t]+")
#: What signs at the end of a text stand behind that say no more than it; an "!" behind two letters, as "5!" and "n!"
#: do say more.
_WORD_ENDS: Final = re.compile("[\\w)\"'%\U000f0000-\U000ffffd]")
_LETTERS: Final = re.compile(r"[^\W\d_]{2}")
_INVERTED: Final = (
    r"(?:what|how|why|who|whom|whose|is|are|am|was|were|does|did|can|could|would|should|shall|might|must"
    r"|(?:do|will|may|has|have|had) (?:i|you|he|she|it|we|they|the|people|my|your)"
)
#: How a sentence begins that asks, or after where or when it does: "For a man of 80, what is ..".
_QUESTION: Final = re.compile(
    rf"(?:{_INVERTED}|where|when|which)|(?:in|at|for|to|on|with|from|by|of) (?:what|which|whom|whose|how))\b"
    rf"|(?:in|at|for|to|on|with|from|by|of|if|when|as|given|after|before)\b[^,.!?\n]*, {_INVERTED}|where|which)\b"
)
#: Words before thanks that no sign parts from them.
_FEW: Final = 3
#: Wrappers that are taken off, one after the other.
_MOST_WRAPPERS: Final = 4
_LONGEST_THANKS: Final = 80


def canonicalise(text: str) -> str:
    """Return the one form of a text."""
    if len(text) > _LONGEST:
        return text
    told = glance(text)
    if _counts_as_written(text, told):
        return text
    kept: list[str] = []
    keep = partial(_keep, kept)
    plain = _plain(text) if told & ODD else text
    if told & QUOTED:
        plain = _QUOTED.sub(keep, plain)
    if told & (QUOTED | WRITTEN):
        plain = _WRITTEN.sub(partial(_keep_written, kept), plain)
    if kept or told & ODD:
        english = told_small(plain.lower())
    else:
        english = told & (IS_ENGLISH | IS_OTHER | IS_NAMED) == IS_ENGLISH
    form = _in_english(plain, keep, told) if english else _in_another(plain)
    return _PLACE.sub(lambda found: kept[ord(found.group()) - _FIRST_PLACE], form) if kept else form


def _counts_as_written(text: str, told: int) -> bool:
    return bool(
        (told & ODD and _PLACE.search(text) is not None)
        or (told & WORDING and is_of_words(text))
        or (told & CODE and is_code(text))
    )


def _plain(text: str) -> str:
    """Return a text with one way to write its letters and, unless it is code, its quotation marks."""
    plain = normalize("NFC", text)
    return plain.translate(_QUOTES) if _CURLY_IN_CODE.search(plain) is None else plain


def _in_english(text: str, keep: Callable[[re.Match[str]], str], told: int) -> str:
    if told & CAPITAL:
        text = keep_where_case_counts(text, keep)
    text = _unwrapped(_spaced(text))
    end = brought(text)
    if end < len(text):
        return _said(text[:end], told) + text[end:]
    return _ended(_said(_thankless(text), told))


def _in_another(text: str) -> str:
    """Return the form of a text whose language is not known: its words are as they are."""
    text = _spaced(text)
    return text if brought(text) < len(text) else _ended(text)


def _said(text: str, told: int) -> str:
    """Return one way to say a text: small letters, figures, no contractions, no fillers."""
    text = text.lower()
    if told & GROUPED and _ENGLISH.search(text) is not None:
        text = _GROUPED.sub(lambda found: found.group().replace(",", ""), text)
    if told & FILLER:
        text = _FILLER.sub(r"\1 ", text)
    if told & SAID and not _said_in_two_ways(text):
        text = _WORD.sub(_worded, text)
    if told & SCALED:
        text = _SCALED.sub(lambda found: str(int(found[1]) * SCALES[found[2]]), text)
    if told & PERCENT:
        text = _PERCENT.sub("%", text)
    return text.strip()


def _keep(kept: list[str], found: re.Match[str]) -> str:
    kept.append(_PLACE.sub(lambda inner: kept[ord(inner.group()) - _FIRST_PLACE], found.group()))
    return chr(_FIRST_PLACE + len(kept) - 1)


def _keep_written(kept: list[str], found: re.Match[str]) -> str:
    word = found.group()
    return _keep(kept, found) if is_written(word) else word


def _spaced(text: str) -> str:
    """Return a text with one space and one line's end where there are several; how a line begins may mean something."""
    text = text.strip()
    if "  " in text or "\t" in text:
        text = _LINE_SPACE.sub(" ", text)
    if "\n" not in text:
        return text
    return "\n".join([line.rstrip() for line in text.split("\n") if line and not line.isspace()])


def _unwrapped(text: str) -> str:
    """Return a text without greetings and wishes before it; what has nothing else stays as it is."""
    for _ in range(_MOST_WRAPPERS):
        found = _BEFORE.match(text)
        if found is None or not text[found.end() :].strip(" .!?"):
            break
        text = text[found.end() :]
        if " you " in found.group().lower():
            text = text.rstrip("?")  # it was the wish that asked
    return text


def _thankless(text: str) -> str:
    """Return a text without wishes and thanks behind it, unless it may speak of them."""
    for _ in range(_MOST_WRAPPERS):
        if not text.rstrip(_STOPS).lower().endswith(_LAST_OF_THANKS):
            break
        found = _BEHIND.search(text, max(0, len(text) - _LONGEST_THANKS))
        if found is None or not text[: found.start()].strip(" .!?"):
            break
        bare = text[: found.start()]
        before = bare.lower().split()
        if not found["signs"].strip() and (len(before) < _FEW or before[-1] in _SPOKEN_OF):
            break
        text = bare + ("?" if "?" in found.group() else "")
    return text


def _worded(found: re.Match[str]) -> str:
    word = found.group()
    word = CONTRACTIONS.get(word, word)
    number = NUMBERS.get(word)
    if number is None or found.string.startswith("no ", max(0, found.start() - 3), found.start()):
        return SPELLINGS.get(word) or "-".join([SPELLINGS.get(part, part) for part in word.split("-")])
    return str(number)


def _said_in_two_ways(text: str) -> bool:
    """Tell whether a text has two words of one form: it may be the difference that it asks for."""
    said = {found.group(): _worded(found) for found in _WORD.finditer(text)}
    forms = [form for word, form in said.items() if form != word]
    return len(set(forms)) < len(forms) or any(form in said or _has(text, form) for form in forms)


def _has(text: str, form: str) -> bool:
    """Tell whether a form of several words, or a number, stands in a text as it is."""
    return not form.isalpha() and f" {form} " in f" {text.rstrip('?!.')} "


def _ended(text: str) -> str:
    """Return a text without the signs at its end that say no more than its words."""
    end = text[-1:]
    if end == "?":
        bare = text.rstrip("?").removesuffix(" ")
        ends = _WORD_ENDS.match(bare[-1:]) is not None and _QUESTION.match(bare) is not None
        return bare if ends else text
    if end == "!":
        bare = text.rstrip("!")
        return bare if _LETTERS.fullmatch(bare[-2:]) is not None else text
    return text[:-1] if end == "." and _WORD_ENDS.match(text[-2:]) is not None else text
