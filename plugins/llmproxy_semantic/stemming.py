"""The stem that a word's forms share: plurals, `-ing`, `-ed`; comparison and negation stay. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_VOWELS: Final = frozenset("aeiouy")
_DOUBLED: Final = frozenset("bdgmnprt")

_VERBS: Final = """
    go goes went gone going; buy bought; bring brought; think thought; teach taught; catch caught; seek
    sought; fight fought; write wrote written writing; ride rode ridden; drive drove driven; eat ate eaten;
    give gave given giving; take took taken taking; make made making; see saw seen; know knew known; grow grew
    grown; throw threw thrown; speak spoke spoken; break broke broken; choose chose chosen choosing; begin
    began begun beginning; run ran running; swim swam swum; sing sang sung; drink drank drunk; get got gotten
    getting; find found; leave left leaving; lose lost losing; win won winning; tell told; sell sold; keep
    kept; sleep slept; feel felt; meet met meeting; send sent; spend spent; build built; pay paid; say said;
    hear heard; hold held; stand stood; understand understood; become became becoming; come came coming; fall
    fell fallen; forget forgot forgotten; die died dying dies; lie lied lying; tie tied tying; use used using
    uses; be being; rise rose risen rising; shake shook shaken; steal stole stolen; freeze froze frozen; hide
    hid hidden hiding; bite bit bitten biting; fly flew flown; draw drew drawn; wear wore worn; tear tore
    torn; swear swore sworn; lead led; feed fed; bleed bled; shoot shot; light lit; sit sat sitting; lay laid;
    deal dealt; mean meant; hang hung; swing swung; stick stuck; strike struck; dig dug; spin spun; ring rang
    rung; sink sank sunk; blow blew blown; wake woke woken waking; lend lent; bend bent; sweep swept; slide
    slid; bind bound; wind wound; grind ground; show shown
"""

_NOUNS: Final = """
    man men; woman women; child children; person people persons; foot feet; tooth teeth; mouse mice; life
    lives; wife wives; knife knives; leaf leaves; datum data; medium media; criterion criteria; analysis
    analyses
"""

_IRREGULAR: Final[dict[str, str]] = {
    form: line.split()[0] for line in f"{_VERBS};{_NOUNS}".split(";") for form in line.split()
}

_PAST: Final = frozenset(
    form for line in _VERBS.split(";") for form in line.split()[1:] if not form.endswith(("s", "ing"))
)


def ending(word: str) -> str:
    """Return how a small word is inflected: `d` for what is done or past, `g` for what goes on, empty for neither."""
    if word in _PAST or (word.endswith("ed") and len(word) > 4 and not word.endswith("eed")):
        return "d"
    return "g" if word.endswith("ing") and len(word) > 4 else ""


#: Words that end as a plural does and are another word without that.
_WHOLE: Final = frozenset(
    {"news", "glasses", "goods", "arms", "customs", "means", "thanks", "series", "species"}
)
#: What is left of a verb whose `e` went with its ending: liked, moved, noticed, managed.
_LOST_E: Final = re.compile(
    r"(?:^[^aeiou]+[aeiou][bcdgklmnprstvz]|[aeioulrs][cvz]|[aeou]s|u|[^n]g|[aeiou]at|[iu]r)$"
)


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return what a small word's forms have in common; a word that is too short is its own."""
    if len(word) < 4 or not word.isalpha() or word in _WHOLE:
        return _IRREGULAR.get(word, word)
    word = _IRREGULAR.get(word) or _singular(word)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for end in ("ing", "ed"):
        bare = word.removesuffix(end)
        if bare != word and len(bare) > 2 and not _VOWELS.isdisjoint(bare):
            return _base(bare)
    return word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zzes")):
        return word[:-2]
    return word[:-1] if word[-1] == "s" and word[-2] not in "sui" else word


def _base(bare: str) -> str:
    """Return a verb from what is left of it without its ending."""
    if bare[-1] == bare[-2] and bare[-1] in _DOUBLED:
        return bare[:-1]
    if bare[-1] == "i":
        return bare[:-1] + "y"
    return bare + "e" if _LOST_E.search(bare) else bare
