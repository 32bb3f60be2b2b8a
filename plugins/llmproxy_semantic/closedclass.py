"""Words of the closed classes, as data: what each counts as where two questions are compared.

A word's signs are what must be the same on both sides; a word without one says nothing by itself.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SIGNS: Final = """
    what: what which whatever whichever
    who: who whom whoever
    whose: whose
    when: when whenever
    where: where wherever
    why: why
    how: how
    is: is are am isnt
    is past: was were
    past: did
    has: has have having
    has past: had
    been: been
    being: being
    will: will shall gonna
    would: would
    can: can
    could: could
    should: should ought
    must: must
    may: may
    might: might
    need: need needs needed
    let: let lets
    not: not no never none nobody nothing nowhere neither nor hardly scarcely barely
    me: i me my mine myself im
    you: you your yours yourself yourselves u
    us: we us our ours ourselves
    and: and
    or: or either
    but: but except besides excluding
    if: if whether
    unless: unless otherwise
    because: because
    despite: although though despite notwithstanding
    than: than
    instead: instead rather
    all: all every each everyone everybody everything everywhere entire entirely whole wholly
    any: any anyone anybody anything anywhere
    some: some someone somebody something somewhere
    most: most mostly
    more: more
    less: less fewer
    least: least
    many: many
    much: much
    few: few little
    several: several multiple various numerous
    both: both
    half: half
    double: double twice
    once: once
    single: single
    only: only merely solely
    even: even
    very: very extremely
    too: too excessively
    enough: enough sufficient sufficiently
    almost: almost nearly
    exactly: precisely
    roughly: roughly approximately
    other: other others another else
    same: same
    different: differ differently
    own: own
    before: before prior beforehand
    after: after afterward afterwards
    during: during
    until: until till
    since: since
    while: while
    then: then
    first: first firstly
    second: secondly
    last: last lastly
    next: next
    ago: ago
    always: always
    sometimes: sometimes occasionally
    often: often frequently
    usually: usually normally generally typically
    rarely: rarely seldom
    already: already
    yet: yet
    still: still
    again: again
    anymore: anymore
    soon: soon
    later: later
    ever: forever permanently
    temporarily: temporarily
    without: without
    within: within
    from: from
    by: by
    against: against
    versus: versus vs v
    between: between
    among: among amid
    under: under underneath beneath
    over: over
    above: above
    below: below
    inside: inside indoors
    outside: outside outdoors
    into: into
    through: through
    via: via
    across: across
    around: around
    behind: behind
    beyond: beyond
    near: near nearby
    away: away
    up: up upwards upward
    down: down downwards downward
    off: off
    out: out
    per: per
    like: unlike
    respectively: respectively
    possibly: maybe perhaps possibly probably
    surely: certainly definitely surely necessarily
"""

#: What stands for a word of a closed class.
SIGNS: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(signs.split())
    for line in _SIGNS.splitlines()
    if line.strip()
    for signs, words in [line.split(":")]
    for word in words.split()
}

#: Words that say nothing by themselves: articles, weak prepositions, fillers.
SILENT: Final = _words("""
    now currently nowadays presently a an the this that these those there here somehow it its itself do does doing
    done be to of in on at for as with about so such really quite just simply also well please exactly
    literally truly actually basically indeed ever s re ve ll d t m
""")

#: Pronouns of the third person: their order tells who does what.
THIRD: Final[dict[str, str]] = {
    word: stands
    for line in """
        he: he
        him: him
        his: his
        himself: himself
        she: she
        her: her
        hers: hers
        herself: herself
        they: they
        them: them
        their: their theirs
        themselves: themselves
    """.splitlines()
    if line.strip()
    for stands, words in [line.split(":")]
    for word in words.split()
}

#: Prepositions: which one stands before a word tells what part it has.
PREPOSITIONS: Final = _words("""
    to of in on at for from by with about as into onto over under through against between after before
""")

#: Words before one of two things, of which one is before, behind or under the other.
RELATING: Final = PREPOSITIONS | _words("""
    behind near above below beneath underneath around across inside outside beyond within without up down off out among
    amid along via beside during until till since versus vs per unlike like than
""")
#: How much of something: where there are several, of what each is.
AMOUNTS: Final = frozenset(
    ("more", "less", "most", "least", "many", "much", "few", "some", "any", "all", "both", "half")
)
#: Verbs that are words of closed classes.
HOLDING: Final = _words("need needs needed has have had")
#: Words that ask for a thing.
ASKING: Final = _words("what which who whom whose")


def is_closed(word: str) -> bool:
    """Tell whether a small word is of a closed class."""
    return word in SIGNS or word in SILENT or word in THIRD
