"""One way to say a question, where grammar has several: nothing is added, nothing of its meaning is lost. Pure."""

from __future__ import annotations

import re
from typing import Final

from llmproxy_semantic.stemming import stem

#: How a question begins that asks for a way: who is to go it says nothing, unless it is about what they feel.
_WAY: Final = re.compile(
    r"\bhow (?:(?:do|does|can|could) (i|you|we|1|people|someone|anyone|a person) |to )"
    r"(?=[a-z])(?!(?:feel|work|think|look|sound|live|sleep|respond|see|know you|differ)\b)"
)
#: Who that may be; if there are two, it is about what is between them.
_WALKERS: Final = {
    word: stands
    for stands, words in (
        ("me", "i my me mine myself"),
        ("you", "you your yours yourself"),
        ("us", "we our us ours ourselves"),
        ("1", "1 people someone anyone"),
    )
    for word in words.split()
}
_TALKING: Final = re.compile(
    r"\b(?:i|my|me|mine|myself|you|your|yours|yourself|we|our|us|ours|ourselves)\b(?!')"
)
_OWN: Final = re.compile(r"\b(?:i|my|mine|myself|your|yours|yourself|we|our|ours|ourselves)\b(?!')")
#: "In Go, how .." is "how .. in Go".
_FRONTED: Final = re.compile(
    r"^((?:in|on|for|at|with|using|during|under|according to) [\w +#.'-]{1,40}), "
    r"((?:what|how|why|who|where|when|which|is|are|do|does|can)\b.*)$"
)
_THING: Final = r"(?:(?:the|an?|my) )?[\w-]+(?: [\w-]+)?"
#: "Was it bought by Ann" is "did Ann buy it".
_PASSIVE: Final = re.compile(
    rf"^(is|are|was|were) ({_THING}) (\w+(?:ed|en|[^aeiou]t|ld|nd)|made|won|known|seen|paid) by ({_THING})$"
)
#: What is said in several ways, and the one that is compared.
_SAID_AS: Final = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"^([\w '-]{1,80}?) (?:was|were) (\w+ed|won|written|built|made) by (who|whom|what)$", r"\3 \2 \1"),
        (r"^(?:what|which) ([\w -]{1,40}?) (?:do|does) ([\w -]{1,40}) have$", r"what is \1 of \2"),
        (
            r"^who do ([\w -]{1,40}) (?:think|believe|say) (is|are|was|were) (.+)$",
            r"who \2 \3 according to \1",
        ),
        (r"\b(function|program|script|class|method|query|snippet) in ([\w+#]+)", r"\2 \1"),
        (r"\b(write|give|tell|show|send|find|make|teach|draw|explain to) me\b", r"\1"),
        (r"\b((?:is|are) there) (?:any|some)\b", r"\1"),
        (r"\b(what (?:is|are)) some(?: of)?\b", r"\1"),
        (r"\b(?:in fact|of course|as a matter of fact)\b,? ?", ""),
        (r"\babout (?=\d)", "roughly "),
        (r"\bexactly (?=\d)", "precisely "),
        (r"\b(?:(?:less|fewer|lower|cheaper) than|below) (?=\d|rs\b|inr\b|\$)", "under "),
        (r"\b(?:(?:more|greater|higher) than|above) (?=\d|rs\b|inr\b|\$)", "over "),
        (r"\b(?:have|has) ever\b", "ever"),
        (r"\ba few\b", "some"),
        (r"\ba little\b", "somewhat"),
        (r"\b(?:a lot|lots|plenty) of\b", "many"),
        (r"(?<=\d) ?([ap])\.?m\b", r" \1mtime"),
        (r"\bused to\b", "formerly"),
        (
            r"\b(does|do|can|should|would|could|must|which|this|that|no|any|every|each|some|the) 1\b(?!['\d.,%])",
            r"\1",
        ),
    )
)
_WAY_OF: Final = re.compile(r"\bway of (\w+ing)\b")


def plainly(form: str) -> str:
    """Return a form in small letters, said in the plainest way.

    What stands in front for stress goes behind; what is done by somebody, somebody does; what something has is said to
    be of it. Whoever asks for a way is nobody, as is "one" that counts nothing.
    """
    form = _FRONTED.sub(r"\2 \1", form.strip(" ?.!"))
    form = _PASSIVE.sub(_active, form)
    form = _WAY_OF.sub(lambda found: f"way to {stem(found[1])}", _walked(form))
    for pattern, said in _SAID_AS:
        form = pattern.sub(said, form)
    return form


def _walked(form: str) -> str:
    """Return a question for a way without whoever is to go it."""
    found = _WAY.search(form)
    if found is None:
        return form
    subject = [found[1]] if found[1] else []
    if len({_WALKERS.get(who, "1") for who in [*subject, *_TALKING.findall(form)]}) > 1:
        return form
    return (_TALKING if subject else _OWN).sub(" ", _WAY.sub("how ", form))


def _active(found: re.Match[str]) -> str:
    tense = "did" if found[1].startswith("w") else "do"
    return f"{tense} {found[4]} {stem(found[3])} {found[2]}"
