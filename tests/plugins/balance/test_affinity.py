"""Keys go back to their places, newcomers to where there is room, and nobody for ever."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Endpoint, Place
from llmproxy.poolsettings import TargetConfig
from llmproxy_balance.affinity import MOST_PINS, Affinity, Loads, rank
from llmproxy_balance.belongingsettings import AffinitySettings


def place(name, weight=1.0):
    return Place(name, TargetConfig(upstream=name, weight=weight), endpoint=Endpoint(name))


THREE = [place("a"), place("b"), place("c")]


def test_a_key_comes_back_to_its_place():
    affinity = Affinity(AffinitySettings())
    first = {key: affinity.choose(key, THREE, 0.0) for key in (b"%d" % n for n in range(50))}

    assert all(affinity.choose(key, THREE, 10.0) is found for key, found in first.items())
    assert {found.name for found in first.values()} == {"a", "b", "c"}


def test_workers_agree_on_a_new_key_without_talking():
    one, other = Affinity(AffinitySettings()), Affinity(AffinitySettings())

    assert all(
        one.choose(b"%d" % n, THREE, 0.0) is other.choose(b"%d" % n, THREE[::-1], 5.0) for n in range(50)
    )


def test_a_place_that_left_hands_over_its_own_keys_only():
    keys = [b"%d" % n for n in range(200)]
    before = {key: rank(key, THREE)[0].name for key in keys}
    after = {key: rank(key, THREE[:2])[0].name for key in keys}

    assert all(after[key] == before[key] for key in keys if before[key] != "c")


def test_keys_are_shared_out_by_weight():
    places = [place("a", 3), place("b", 1)]
    found = Counter(rank(b"%d" % n, places)[0].name for n in range(4000))

    assert 0.7 < found["a"] / 4000 < 0.8


def test_a_place_without_weight_comes_last():
    places = [place("spare", 0), *THREE]

    assert all(rank(b"%d" % n, places)[-1].name == "spare" for n in range(50))


def test_a_pin_ends_when_nobody_uses_it():
    affinity = Affinity(AffinitySettings(ttl=60))
    key = next(key for key in (b"%d" % n for n in range(50)) if rank(key, THREE)[0].name == "a")
    affinity.choose(key, THREE, 0.0)
    affinity.served(key, THREE[1], 0.0)

    assert affinity.choose(key, THREE, 59.0).name == "b"
    assert affinity.choose(key, THREE, 118.0).name == "b"
    assert affinity.choose(key, THREE, 180.0).name == "a"


def test_a_key_whose_place_failed_stays_where_it_was_served():
    affinity = Affinity(AffinitySettings())
    found = affinity.choose(b"k", THREE, 0.0)
    other = next(each for each in THREE if each is not found)
    affinity.served(b"k", other, 1.0)

    assert affinity.choose(b"k", THREE, 2.0) is other


def test_a_key_whose_place_cannot_be_tried_goes_to_the_next_of_its_own():
    affinity = Affinity(AffinitySettings())
    first, second, _ = rank(b"k", THREE)
    affinity.choose(b"k", THREE, 0.0)

    assert affinity.choose(b"k", [each for each in THREE if each is not first], 1.0) is second


@pytest.mark.parametrize("seed", range(5))
def test_keys_of_very_different_size_leave_no_place_above_its_share(seed):
    rng = random.Random(seed)
    affinity = Affinity(AffinitySettings(load=1.25))
    places = [place(name) for name in "abcd"]
    sessions = [b"%d" % n for n in range(300)]
    sizes = [rng.paretovariate(1.2) for _ in sessions]
    counts = Counter()
    for step in range(20_000):
        [key] = rng.choices(sessions, sizes)
        found = affinity.choose(key, places, step / 50)
        affinity.served(key, found, step / 50)
        counts[found.name] += 1

    assert max(counts.values()) <= 1.25 * 20_000 / 4


def test_pins_are_bounded():
    affinity = Affinity(AffinitySettings())
    for n in range(MOST_PINS + 10):
        affinity.choose(b"%d" % n, THREE[:1], 0.0)

    assert len(affinity) == MOST_PINS


@given(
    names=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    events=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 10_000)), max_size=50),
)
def test_it_always_chooses_one_of_those_that_may_be_tried(names, events):
    affinity = Affinity(AffinitySettings())
    places = [place(name, weight=index % 3) for index, name in enumerate(names)]
    now = 0.0
    for which, pause in events:
        now += pause
        found = affinity.choose(b"%d" % which, places, now)
        affinity.served(b"%d" % which, found, now)

        assert found in places


def test_loads_of_long_ago_count_no_more():
    loads = Loads()
    for _ in range(100):
        loads.add("a", 0.0)
    loads.add("b", 10_000.0)

    assert loads.above(THREE[0], THREE[:2]) == 1.0
