"""Whether a text is told to be English, the one language whose words, capitals and figures are known here. Pure.

Elsewhere a capital may make another word (German nouns: `Weise` is not `weise`), the small letter of `I` is another one
(Turkish), `1,500` is less than two, and words that look like ours are others. What is not told to be English keeps its
words as they are.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy_semantic.wording import words

#: Words that nearly every English question has one of, and that German does not have, nor most others.
ENGLISH: Final = frozenset(
    words("""
        the what which who whom whose why when where how does doesn't don't did didn't isn't aren't can't cannot what's
        whats what're who's how's it's i'm i've i'd that's there's let's this that these those there with from have
        should would could might between about than then because your you they their them our my its some any every each
        give write explain describe convert summarise summarize create make find compare calculate define suggest tell
        is of for to and are it if by be sort reverse count compute generate solve subtract add multiply recommend draft
        please can do name list hi hello thanks
    """)
)
#: Words that tell another language.
OTHER: Final = frozenset(
    words("""
        das und ist ein eine einen einem einer eines nicht wie wer warum wann welche welcher welches mit auf sich zum zur
        ich wir ihr sie auch dem oder kann kannst wird werden haben sind sein seine mein meine dein deine kein keine mich
        mir dir dich uns aber wenn noch schon nur sehr bitte heisst bedeutet zwischen gegen durch der den ins beim est
        dans avec pour quel quelle combien bir bu ne nedir mi ve
    """)
)
#: Languages whose words an English question may be about.
NAMED: Final = frozenset(words("german deutsch turkish azeri luxembourgish"))
WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)?")


def told_english(small: str) -> bool:
    """Tell whether a text in small letters is told to be English."""
    said = WORD.findall(small)
    return not ENGLISH.isdisjoint(said) and OTHER.isdisjoint(said)


def told_small(small: str) -> bool:
    """Tell whether a text in small letters loses nothing by them: it is English, and of no other language's words."""
    return told_english(small) and NAMED.isdisjoint(WORD.findall(small))
