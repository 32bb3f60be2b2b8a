"""Thresholds for an embedder, out of labelled pairs. Pure but for the embedder that is given.

Theory. Thresholds of all tiers are walked down together, in the steps and with the leads of verifying.py, fixed before
any label is read: pairs that are like those of the file are served wrongly no more often than was asked for, save for
the risk. Other pairs may be: a bound from a file does not travel (research/semantic.md, 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.plugin import Asked
from llmproxy_semantic.canonical import canonicalise
from llmproxy_semantic.certifying import upper
from llmproxy_semantic.eligibility import why_not
from llmproxy_semantic.embedder import TooLong, Unread
from llmproxy_semantic.features import features_of
from llmproxy_semantic.guards import objection
from llmproxy_semantic.slips import mended
from llmproxy_semantic.thresholds import NEVER
from llmproxy_semantic.tiers import tier_of
from llmproxy_semantic.verifying import STEPS, cuts_at, merit, most_wrong, step_of

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Embedder
    from llmproxy_semantic.features import Features
    from llmproxy_semantic.pairs import Pair

_TIERS: Final = 3


class Comparable(NamedTuple):
    """The forms of a pair that comes to be compared."""

    form: str
    other: str
    tier: int
    wrong: bool


class Met(NamedTuple):
    """A pair that comes to be compared by its vectors."""

    tier: int
    similarity: float
    wrong: bool


class Cut(NamedTuple):
    """The least cosine that a tier serves, and how many pairs it does rightly and wrongly."""

    least: float
    right: int
    wrong: int


class Calibration(NamedTuple):
    """Thresholds by tier, and what they were made of; `bound` is what is wrong of all negatives, at most."""

    embedder: str
    limit: float
    risk: float
    rewordings: int
    negatives: int
    cuts: tuple[Cut, ...]
    bound: float


def comparable(pairs: Iterable[Pair]) -> Iterator[Comparable]:
    """Give the pairs that neither their form decides nor a guard."""
    for pair in pairs:
        form, other = canonicalise(pair.prompt_b), canonicalise(pair.prompt_a)
        if form == other:
            continue
        form, other = mended(pair.prompt_b, form), mended(pair.prompt_a, other)
        asked, stored = features_of(pair.prompt_b, form), features_of(pair.prompt_a, other)
        if not _never(pair.prompt_b, asked) and not objection(asked, stored):
            yield Comparable(form, other, tier_of(asked, stored), pair.label == 0)


def met(pairs: Iterable[Pair], embedder: Embedder) -> Iterator[Met]:
    """Give the pairs that come to be compared, with how much alike they are."""
    for each in comparable(pairs):
        try:
            similarity = float(embedder.embed(each.form) @ embedder.embed(each.other))
        except (TooLong, Unread):
            continue
        yield Met(each.tier, similarity, each.wrong)


def _never(question: str, features: Features) -> bool:
    return bool(why_not(Asked(b"", question, {}, None, settled=True), features))


def calibrated(
    embedder: str, pairs: Sequence[Pair], compared: Iterable[Met], *, limit: float, risk: float = 0.05
) -> Calibration:
    """Return the lowest thresholds with which at most `limit` of the negatives are served, save for a risk."""
    negatives = sum(pair.label == 0 for pair in pairs)
    members = list(compared)
    wrong_steps = sorted(step_of(merit(each.similarity, each.tier)) for each in members if each.wrong)
    most = most_wrong(negatives, limit, risk)
    # The first wrong one too many ends the walk, one step before it would be served.
    step = -1 if most < 0 else [*wrong_steps, *[STEPS] * (most + 1)][most] - 1
    leasts = cuts_at(step)[:_TIERS] if step >= 0 else (NEVER,) * _TIERS
    cuts = tuple(
        _cut(least, [each for each in members if each.tier == tier]) for tier, least in enumerate(leasts)
    )
    bound = upper(sum(cut.wrong for cut in cuts), negatives, risk)
    return Calibration(embedder, limit, risk, len(pairs) - negatives, negatives, cuts, bound)


def _cut(least: float, members: list[Met]) -> Cut:
    served = [each.wrong for each in members if each.similarity >= least]
    return Cut(least, served.count(False), sum(served))


def written(calibration: Calibration) -> Iterator[str]:
    """Give the lines of a configuration that holds the thresholds, with what is promised of them."""
    yield (
        f"# Of {calibration.negatives} pairs whose answers differ at most {calibration.bound:.2%} are served"
        f" ({1 - calibration.risk:.0%}; asked for: {calibration.limit:.2%}),"
    )
    served = sum(cut.right for cut in calibration.cuts)
    yield f"# and {served} of {calibration.rewordings} whose answers are the same, beside those of one form."
    yield "plugins:"
    yield "  semantic:"
    yield "    thresholds:"
    yield f'      embedder: "{calibration.embedder}"'
    yield "      tiers:"
    for cut, kind in zip(calibration.cuts, _KINDS, strict=True):
        yield f"        - {min(cut.least, NEVER):.3f}  # {kind}: {cut.right} right, {cut.wrong} wrong"


_KINDS: Final = ("every word shared", "words on one side only", "words on both sides")
