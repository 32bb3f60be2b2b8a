"""Sessions over places that each have a prompt cache of their own: as good as one place alone, and evenly loaded."""

import random
from collections import Counter

import pytest

from llmproxy.plugin import Endpoint, Place
from llmproxy.poolsettings import TargetConfig
from llmproxy_balance.affinity import Affinity
from llmproxy_balance.belongingsettings import AffinitySettings

#: Seconds that a provider keeps a prompt after it was last asked for (Anthropic's ephemeral cache, OpenAI's at least).
KEPT = 300.0


def turns(rng, *, sessions, most):
    """Return (time, session) of every turn, in order: sessions of very different length, some asleep at times."""
    found = []
    for session in range(sessions):
        at = rng.uniform(0, 1800)
        for _ in range(min(most, int(rng.paretovariate(1.1)) + 2)):
            found.append((at, session))
            at += rng.expovariate(1 / 30) + (rng.random() < 0.05) * rng.uniform(200, 900)
    return sorted(found)


def simulated(events, choose):
    """Return how many turns found their prompt cached, and how many each place served."""
    cached, hits, served = {}, 0, Counter()
    for now, session in events:
        where = choose(session, now)
        hits += now - cached.get((where, session), -KEPT - 1) <= KEPT
        cached[where, session] = now
        served[where] += 1
    return hits, served


@pytest.mark.parametrize("targets", [2, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_sessions_hit_as_often_as_with_one_place_and_the_load_is_even(targets, seed, capsys):
    events = turns(random.Random(seed), sessions=1500, most=200)
    places = [
        Place(f"p{n}", TargetConfig(upstream=f"p{n}"), endpoint=Endpoint(f"p{n}")) for n in range(targets)
    ]
    affinity = Affinity(AffinitySettings(load=1.25))

    def by_affinity(session, now):
        key = b"%d" % session
        place = affinity.choose(key, places, now)
        affinity.served(key, place, now)
        return place.name

    alone, _ = simulated(events, lambda session, now: "one")
    hits, served = simulated(events, by_affinity)
    scattered, _ = simulated(
        events, lambda session, now: random.Random(f"{session}{now}").choice(places).name
    )
    most = max(served.values()) / (len(events) / targets)
    with capsys.disabled():
        print(f"\n{targets} places, {len(events)} turns, {hits / alone:.3f} of one place's hits,", end=" ")
        print(f"load {most:.2f} x even; at random {scattered / alone:.3f}")

    assert hits >= 0.95 * alone
    assert most <= 1.25
    assert scattered < 0.95 * alone  # the simulation tells good from bad
