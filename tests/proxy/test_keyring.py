"""Several keys of one upstream, by a clock that stands still until it is told."""

import gc

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmproxy.errors import ProviderError, UpstreamTimeout
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.failures import Failure
from llmproxy.keyring import RESTS, Keyring, KeyState, KeyStates, another_key
from llmproxy.messages import Headers, Reply


@pytest.fixture
def rested():
    return []


@pytest.fixture
def ring(rested):
    return Keyring([KeyState() for _ in range(3)], lambda *told: rested.append(told))


def taken(ring, now, times):
    return [ring.take(now) for _ in range(times)]


def tried(ring, key, started):
    attempt = Attempt(1, Endpoint("main"), started)
    attempt.keys, attempt.key = ring, key
    return attempt


def test_keys_take_turns(ring):
    assert taken(ring, 0.0, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_a_refused_key_rests_and_the_others_take_its_turns(ring, rested):
    ring.refused(1, Failure("authentication", 401), 0.5, 1.0)

    assert taken(ring, 2.0, 4) == [0, 2, 0, 2]
    assert rested == [(1, "authentication", 60.0)]
    assert ring.resting(31.0) == [0.0, 30.0, 0.0]


def test_keys_that_lack_a_permission_are_of_use_for_all_else(ring):
    for key in range(3):
        ring.refused(key, Failure("permission", 403), 0.5, 1.0)
    assert (min(ring.resting(1.0)), ring.away(1.0)) == (10.0, 0.0)

    for key in range(3):
        ring.refused(key, Failure("rate_limit", 429, 30.0), 0.5, 1.0)
    assert ring.away(1.0) == 30.0

    ring.refused(0, Failure("permission", 403), 0.5, 1.0)
    assert ring.away(1.0) == 30.0


def test_a_rested_key_is_tried_by_one_at_a_time(ring):
    ring.refused(1, Failure("authentication", 401), 0.5, 1.0)

    assert taken(ring, 61.0, 4) == [0, 1, 2, 0]
    assert 1 not in taken(ring, 62.0, 6)
    assert 1 in taken(ring, 71.0, 3), "the one that tried it was given up"


def test_a_key_that_is_served_is_well_again(ring):
    ring.refused(1, Failure("authentication", 401), 0.5, 1.0)
    ring.served(1, 61.0)

    assert sorted(taken(ring, 61.5, 3)) == [0, 1, 2]
    assert ring.resting(61.5) == [0.0, 0.0, 0.0]


def test_an_answer_to_what_was_asked_before_the_refusal_proves_nothing(ring):
    ring.refused(1, Failure("authentication", 401), 0.5, 1.0)
    ring.served(1, 0.9)

    assert 1 not in taken(ring, 2.0, 6)


@pytest.mark.parametrize(
    ("kind", "rests"),
    [
        ("authentication", [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        ("quota", [300, 600, 1200, 2400, 3600]),
        ("permission", [10, 20, 40]),
        ("rate_limit", [1, 2, 4, 8, 16, 32, 60, 60]),
    ],
)
def test_a_key_that_is_refused_again_rests_longer(ring, rested, kind, rests):
    now = 0.0
    for _ in rests:
        ring.refused(0, Failure(kind), now + 1, now + 1)
        now += 4000

    assert [seconds for _, _, seconds in rested] == rests


def test_refusals_of_one_time_are_one(ring, rested):
    for _ in range(50):
        ring.refused(0, Failure("rate_limit", 429), 0.5, 1.0)

    assert rested == [(0, "rate_limit", 1.0)]


@pytest.mark.parametrize(
    ("kind", "asked", "rest"),
    [
        ("rate_limit", 20.0, 20.0),
        ("rate_limit", 0.2, 0.2),
        ("rate_limit", 1e6, 3600.0),
        ("quota", 20.0, 300.0),
    ],
)
def test_a_provider_says_how_long_it_wants_no_more_requests(ring, rested, kind, asked, rest):
    ring.refused(2, Failure(kind, 429, asked), 0.5, 1.0)

    assert rested == [(2, kind, rest)]


def test_what_is_learnt_later_of_a_refusal_makes_its_rest_longer(ring):
    ring.refused(0, Failure("rate_limit", 429), 0.5, 1.0)
    ring.refused(0, Failure("quota", 429), 0.5, 1.0)

    assert ring.resting(1.0)[0] == 300.0


def test_where_all_rest_the_one_that_comes_back_first_is_used(ring):
    for key, wait in enumerate((30.0, 10.0, 20.0)):
        ring.refused(key, Failure("rate_limit", 429, wait), 0.5, 1.0)

    assert taken(ring, 2.0, 3) == [1, 1, 1]


def test_another_key_is_worth_a_try_where_one_does_not_rest(ring):
    refusal = Failure("authentication", 401)

    assert another_key(tried(ring, 0, 0.5), refusal, 1.0)
    assert another_key(tried(ring, 1, 1.5), refusal, 2.0)
    assert not another_key(tried(ring, 2, 2.5), refusal, 3.0)
    assert another_key(tried(ring, 2, 2.6), refusal, 70.0), "the first one has rested"


@pytest.mark.parametrize("kind", ["server", "timeout", "overloaded", "window", "connect"])
def test_no_other_key_mends_what_is_no_fault_of_the_key(ring, kind):
    assert not another_key(tried(ring, 0, 0.5), Failure(kind, 500), 1.0)
    assert taken(ring, 1.0, 3) == [0, 1, 2]


def test_one_key_has_no_other():
    assert not another_key(Attempt(1, Endpoint("main"), 0.0), Failure("authentication", 401), 1.0)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (Reply(401), "authentication"),
        (Reply(403), "permission"),
        (Reply(402), "quota"),
        (Reply(429), "rate_limit"),
        (Reply(429, body=b'{"error": {"code": "insufficient_quota"}}'), "quota"),
        (
            Reply(400, body=b'[{"error": {"message": "API key not valid. Please pass a valid API key."}}]'),
            "authentication",
        ),
        (ProviderError(200, "slow_down", "Slow down.", kind="rate_limit"), "rate_limit"),
    ],
)
def test_a_key_rests_by_what_its_attempt_came_to(ring, rested, found, kind):
    ring.judge(tried(ring, 1, 0.5), found, 1.0)

    assert [told[:2] for told in rested] == [(1, kind)]


@pytest.mark.parametrize(
    "found", [Reply(500), Reply(400), Reply(200), UpstreamTimeout("headers", 1.0, sent=True)]
)
def test_other_answers_put_no_key_aside(ring, rested, found):
    ring.judge(tried(ring, 1, 0.5), found, 1.0)

    assert rested == []


def test_a_wait_is_read_from_the_reply(ring):
    ring.heard(tried(ring, 1, 0.5), Reply(429, Headers.of({"Retry-After": "7"})), 1.0)

    assert ring.resting(1.0) == [0.0, 7.0, 0.0]


def test_a_good_reply_ends_a_rest_and_a_bad_one_begins_it(ring):
    ring.heard(tried(ring, 1, 0.5), Reply(401), 1.0)
    resting = ring.resting(1.0)
    ring.heard(tried(ring, 1, 62.0), Reply(200), 62.5)

    assert (resting, ring.resting(1.0)) == ([0.0, 60.0, 0.0], [0.0, 0.0, 0.0])


def test_a_key_is_known_again_in_another_generation():
    states = KeyStates()
    old = Keyring([states.of("https://a", "one"), states.of("https://a", "two")])
    old.refused(1, Failure("authentication", 401), 0.5, 1.0)
    new = Keyring(
        [states.of("https://a", "two"), states.of("https://a", "three"), states.of("https://b", "two")]
    )

    assert new.resting(1.0) == [60.0, 0.0, 0.0]


def test_a_key_that_nobody_has_is_forgotten():
    states = KeyStates()
    ring = Keyring([states.of("https://a", "one")])
    ring.refused(0, Failure("authentication", 401), 0.5, 1.0)
    del ring
    gc.collect()

    assert len(states._known) == 0
    assert Keyring([states.of("https://a", "one")]).resting(1.0) == [0.0]


class Rotation(RuleBasedStateMachine):
    """Keys under any history: one is always there, those that are well share evenly, all that rest come back."""

    def __init__(self):
        super().__init__()
        self.size = 4
        self.ring = Keyring([KeyState() for _ in range(self.size)])
        self.now = 1.0
        self.running = []

    @rule(seconds=st.floats(0.001, 4000))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def begin(self):
        resting = self.ring.resting(self.now)
        key = self.ring.take(self.now)
        self.running.append((key, self.now))

        assert resting[key] == 0 or resting[key] == min(resting)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), kind=st.sampled_from(sorted(RESTS)), asked=st.none() | st.floats(0, 1e6))
    def refuse(self, data, kind, asked):
        key, started = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.ring.refused(key, Failure(kind, 429, asked), started, self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def serve(self, data):
        self.ring.served(*self.running.pop(data.draw(st.integers(0, len(self.running) - 1))))

    @invariant()
    def nobody_rests_longer_than_an_hour(self):
        assert max(self.ring.resting(self.now)) <= 3600.001

    @invariant()
    def a_spare_key_is_one_that_does_not_rest(self):
        resting = self.ring.resting(self.now)

        for key in range(self.size):
            assert self.ring.spare(key, self.now) == any(
                not rest for other, rest in enumerate(resting) if other != key
            )


TestRotation = Rotation.TestCase
