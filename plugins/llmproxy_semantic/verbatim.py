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
    r"|repl(?:y|ies)|respond|repeat|echo|(?:complete|finish|continue) (?:this|the)"
    r"|(?:this|my|your|following|below|given) (?:\w+ )?(?:text|e-?mail|message|sentence|paragraph|tweet|comment"
    r"|review|note|essay|string|question|statement))\b",
    re.IGNORECASE,
)
#: How code looks that stands in a text.
_CODE: Final = re.compile(
    r"[;{}][ \t]*(?:\n|\Z)|=>|\w\([^()\n]{0,99}\)[ \t]*[:{;]"
    r"|^[ \t]*(?:def|class|import|return|for|while|if|func|fn|let|var|const|SELECT|INSERT|UPDATE)\b[^\n]{0,199}[:;{]",
    re.MULTILINE,
)
#: Where a text begins that is brought along.
_BROUGHT: Final = re.compile(r":\s|\n")


def counts_as_written(text: str) -> bool:
    """Tell whether all of a text is to be taken letter by letter."""
    return _OF_WORDS.search(text) is not None or _CODE.search(text) is not None


def brought(text: str) -> int:
    """Return where in a text without wrappers another begins that it brings along; its length where none does."""
    found = _BROUGHT.search(text)
    return len(text) if found is None else found.start()
