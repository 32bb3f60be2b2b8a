import orjson
import pytest

from llmproxy.plugin import Arm, Caller, Endpoint, Pool, Usage
from llmproxy_calllog.taking import Kept
from llmproxy_calllog.telling import Teller, chosen, own_or_chosen, policy, total

from .records import NOW, make_ended, make_tried


class Tariff:
    """Each token costs a microdollar at `main`, nobody knows what elsewhere."""

    def price(self, endpoint, usage, asked=None):
        return usage.total if endpoint.upstream == "main" else None


def call_of(**fields):
    return Teller(Tariff(), 1000).call(make_ended(**fields))


def test_a_call_is_told():
    call = call_of()

    assert (call.at, call.ms, call.first_byte_ms, call.first_output_ms) == (NOW - 0.5, 500, 250, 201)
    assert (call.tenant, call.key, call.team, call.org) == ("acme", "web", "search", "")
    assert (call.upstream, call.upstream_model, call.tries) == ("main", "gpt-4o-mini", 1)
    assert (call.input, call.output, call.reasoning, call.cost) == (7, 5, 0, 12)


def test_each_attempt_is_told_with_its_failure_and_its_milliseconds():
    first = make_tried(
        status=503, failure="overloaded", headers_at=10.011, first_output_at=None, ended=10.021, usage=None
    )
    call = call_of(tried=(first, make_tried(endpoint=Endpoint("b", member="b@10.0.0.1:80"), started=10.05)))
    told = orjson.loads(call.attempts)

    assert told[0] == {
        "place": "main",
        "model": "gpt-4o-mini",
        "status": 503,
        "failure": "overloaded",
        "after_ms": 1.0,
        "headers_ms": 10.0,
        "ms": 20.0,
    }
    assert (told[1]["place"], call.upstream, call.tries) == ("b@10.0.0.1:80", "b@10.0.0.1:80", 2)


def test_what_all_attempts_used_is_added_up():
    call = call_of(tried=(make_tried(), make_tried(usage=Usage(1, 2, 3, 4, 5))))

    assert (call.input, call.cache_read, call.cache_write, call.output, call.reasoning) == (8, 2, 3, 9, 5)
    assert call.cost == 27


@pytest.mark.parametrize(
    ("tries", "cost"),
    [
        ((), 0),
        ((make_tried(usage=None, status=429),), 0),
        ((make_tried(usage=None, status=None, failure="connect"),), 0),
        ((make_tried(usage=None),), None),
        ((make_tried(usage=None, status=None, failure="timeout"), make_tried()), None),
        ((make_tried(endpoint=Endpoint("elsewhere")), make_tried()), None),
    ],
)
def test_a_cost_is_told_where_all_of_it_is_known(tries, cost):
    assert call_of(tried=tries).cost == cost


def test_a_call_without_usage_has_no_tokens_rather_than_none_of_them():
    assert call_of(tried=()).input is None


@pytest.mark.parametrize(
    ("cache", "status", "told"),
    [
        ("hit", b"gw; hit; ttl=3", ("hit", "")),
        ("miss", b"gw; fwd=uri-miss; stored", ("miss", "uri-miss")),
        ("miss", b"gw; fwd=uri-miss; collapsed", ("joined", "uri-miss")),
        ("miss", b"", ("miss", "")),
        ("", b"gw; collapsed", ("", "")),
    ],
)
def test_what_a_cache_did_is_told(cache, status, told):
    call = call_of(cache=cache, cache_status=status)

    assert (call.cache, call.cache_why) == told


def test_the_decision_is_told():
    pool = Pool.of("fast", [])
    call = call_of(pool=pool, arm=Arm("fast", "b", sticky=False))

    assert (call.pool, call.policy, call.arm) == ("fast", policy(pool), "fast=b")
    assert policy(pool) == "written"


def test_a_strategy_is_told_in_words():
    class LeastInFlight:
        pass

    pool = Pool.of("fast", [])
    pool.strategy = LeastInFlight()

    assert policy(pool) == "least_in_flight"


def test_what_callers_choose_is_cut_and_redacted():
    call = call_of(id="sk-abcdefghijklmnopqrst", model="m" * 500 + "\udcff")

    assert (call.id, len(call.model)) == ("[redacted]", 200)


def test_an_id_of_the_gateways_own_stays():
    assert own_or_chosen("req-00ff00ff00ff-1a") == "req-00ff00ff00ff-1a"
    assert own_or_chosen("req-00ff00ff00ff-1a:sk-abcdefghijklmnop") == "req-00ff00ff00ff-1a:[redacted]"
    assert own_or_chosen("") == ""


def test_a_name_is_fit_for_a_database():
    assert chosen("a\udcff").encode() == b"a\\udcff"
    assert chosen("") == ""


def test_nothing_known_adds_up_to_nothing_known():
    assert (total([]), total([None])) == (None, None)


def test_bodies_come_with_the_record_where_they_are_kept():
    teller = Teller(Tariff(), 1000)

    assert teller.record(make_ended(), None)[1:] == (None, None)
    assert teller.record(make_ended(), Kept("full", b"hi", b"text/plain", 2, None, ()))[1:] == ("hi", None)


def test_a_path_is_told_where_a_dialect_has_it():
    assert call_of().path == "/v1/chat/completions"
    assert call_of(path="/v1/models/sk-abcdefghijklmnopqrst").path == "/v1/models/[redacted]"


def test_a_record_says_how_its_bodies_were_kept():
    teller = Teller(Tariff(), 1000)

    assert teller.record(make_ended(), None).call.bodies == ""
    assert teller.record(make_ended(), Kept("full", b"", b"", 0, None, ())).call.bodies == "full"


def test_a_caller_without_labels_has_none():
    assert call_of(caller=Caller("acme")).team == ""
