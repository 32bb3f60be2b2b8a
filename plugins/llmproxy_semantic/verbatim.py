"""Texts that count as they are written: about words, about another text, or code without a fence. Pure."""

from __future__ import annotations

import re
from typing import Final

#: What is asked of words and how they are written, in which each letter and sign may be what is asked for.
_OF_WORDS: Final = re.compile(
    r"\b(?:(?:the|a|an|this|each|which|what|one|of) "
    r"(?:words?|terms?|phrases?|pre(?:position|fix)|suffix|noun|verb|ad(?:verb|jective))"
    r"|how many (?:\w+ )?(?:words|letters|characters|syllables|vowels|consonants|spaces|lines|sentences|commas|times)"
    r"|words? (?:in|for|with|that|like|of)|letters in"
    r"|(?:the|this|which|capital|small|first|last) (?:letters?|characters?)"
    r"|syllables?|vowels?|consonants?|spell(?:s|ed|ing|ings|t)?"
    r"|gramma\w*|punctuat\w*|capitali[sz]\w*|(?:upper|lower|title|camel|snake)[- ]?cased?|pronounc\w*|pronunciation"
    r"|synonym\w*|antonym\w*|rhym\w*|translat\w*|proof-?read\w*|paraphras\w*|re(?:write|phrase|word)\w*|typos?"
    r"|contractions?|fillers?|sentiment|polite\w*|tone|shouting|haikus?|says?|saying|said|sings|sang"
    r"|roman numerals?|in (?:full|words|figures)|(?:british|american) (?:english|way)|(?:short|long|full) forms?"
    r"|abbreviat\w*|lyrics|chords|comma|apostrophes?|hyphens?|(?:semi)?colons?|full stops?|(?:quotation|question) marks?"
    r"|repl(?:y|ies)|respond|repeat|echo|(?:complete|finish|continue) (?:this|the)"
    r"|(?:this|my|your|following|below|given) (?:\w+ )?(?:text|e-?mail|message|sentence|paragraph|tweet|comment"
    r"|review|note|essay|string|question|statement))\b",
    re.IGNORECASE,
)
#: The word in each of those without which none of them is said.
_OF_WORDS_BY: Final = re.compile(
    r"\b(?:words?|terms?|phrases?|prepositions?|prefix|suffix|nouns?|verbs?|adverbs?|adjectives?|letters?|characters?"
    r"|syllables?|vowels?|consonants?|spaces|lines|sentences?|commas|times|spell(?:s|ed|ing|ings|t)?|gramma|punctuat"
    r"|capitali[sz]|(?:upper|lower|title|camel|snake)?[- ]?cased?|pronounc|pronunciation|synonym|antonym|rhym|translat"
    r"|proof-?read|paraphras|re(?:write|phrase|word)|typos?|contractions?|fillers?|sentiment|polite|tone|shouting"
    r"|haikus?|says?|saying|said|sings|sang|repl(?:y|ies)|respond|repeat|echo|complete|numeral|full"
    r"|comma|apostrophe|hyphen|(?:semi)?colon|stops?|marks?|figures|british|american|forms?|abbreviat|lyrics|chords|finish|continue|text|e-?mail"
    r"|message|paragraph|tweet|comment|review|note|essay|string|question|statement)"
)
#: How code looks that stands in a text.
_CODE: Final = re.compile(
    r"[;{}][ \t]*(?:\n|\Z)|=>|\w\([^()\n]{0,99}\)[ \t]*[:{;]"
    r"|^[ \t]*(?:def|class|import|return|for|while|if|func|fn|let|var|const|SELECT|INSERT|UPDATE)\b[^\n]{0,199}[:;{]",
    re.MULTILINE,
)
#: What code that looks so has one of.
_OF_CODE: Final = re.compile("[;{}:]|=>")
#: What words have that are no words of a language; calls, as in `print(A)`; what behind a dot ends a name, not a file.
_SIGNS: Final = frozenset("\\<>={}[]|^$#@_*+~")
_CALL: Final = re.compile(r"\w\((?!e?s\))")
_SITES: Final = frozenset(("js", "com", "net", "org", "io", "ai"))
#: Characters above which no word is one.
_LONGEST_WORD: Final = 100
#: Where a text begins that is brought along.
_BROUGHT: Final = re.compile(r":\s|\n")


def counts_as_written(text: str) -> bool:
    """Tell whether all of a text is to be taken letter by letter."""
    return is_of_words(text) or is_code(text)


def is_of_words(text: str) -> bool:
    """Tell whether it is words, or a text, that a text asks about."""
    return _OF_WORDS.search(text) is not None


def is_code(text: str) -> bool:
    """Tell whether code stands in a text."""
    return _CODE.search(text) is not None


def may_be_of_words(small: str) -> bool:
    """Tell whether a text with a word in small letters may ask about words; if it does, it has such a word."""
    return _OF_WORDS_BY.search(small) is not None


def may_be_code(word: str) -> bool:
    """Tell the same of code."""
    return _OF_CODE.search(word) is not None


def is_written(word: str) -> bool:
    """Tell whether what stands between spaces counts as it is written: an address, a path, a flag, a name in code."""
    return (
        not _SIGNS.isdisjoint(word)
        or "://" in word
        or word[0] == "/"
        or _is_flag(word)
        or _is_name_in_code(word)
    )


def _is_flag(word: str) -> bool:
    return word[0] == "-" and len(word) > 1


def _is_name_in_code(word: str) -> bool:
    """Tell whether a word is a call, or a file: `print(A)`, `src/main.java`, `Main.java`."""
    if len(word) > _LONGEST_WORD:
        return True
    if "(" in word and _CALL.search(word) is not None:
        return True
    name, dot, end = word.rstrip("?!.,;:").rpartition(".")
    return bool(dot) and ("/" in name or (not name.islower() and end.islower() and end not in _SITES))


def brought(text: str) -> int:
    """Return where in a text without wrappers another begins that it brings along; its length where none does."""
    found = _BROUGHT.search(text)
    return len(text) if found is None else found.start()
