"""Conditions: judged as CEL says, told with their mistakes before any request, never in the way of one."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import ConfigError
from llmproxy.exchange import Caller
from llmproxy.pools import place_of
from llmproxy.testing import make_exchange
from llmproxy_balance.conditions import LONGEST, VARIABLES, Conditions
from llmproxy_balance.facts import Facts

from .places import asking, target


def judged(when, exchange):
    return Conditions(Facts())(exchange, place_of(target(when=when)))


def refused(when):
    with pytest.raises(ConfigError) as told:
        Conditions(Facts()).check(target(when=when))
    return str(told.value)


GOLD = {"headers": {"X-Tier": "gold"}}


@pytest.mark.parametrize(
    ("when", "request_"),
    [
        ("headers['x-tier'] == 'gold'", GOLD),
        ("has(headers.host) && !('x-nobody' in headers)", {}),
        ("tenant == 'blue' && key == 'ci'", {"caller": Caller("blue", key="ci")}),
        ("labels['team'] in ['a', 'b']", {"caller": Caller("t", labels=(("team", "a"),))}),
        ("model.startsWith('gpt-') || model == 'o3'", {"model": "gpt-5"}),
        ("path == '/v1/x' && method == 'GET'", {"method": "GET", "path": "/v1/x?debug=1"}),
        ("query.debug == '1' && query['empty'] == ''", {"path": "/?debug=1&empty="}),
        ("streamed", {"streamed": True}),
        ("path.matches('^/v[12]/')", {"path": "/v1/chat"}),
        ("body_size == 3", {"headers": {"content-length": "3"}}),
        ("body_size == -1", {"headers": {"content-length": "many"}}),
    ],
)
def test_a_condition_asks_about_the_request(when, request_):
    assert judged(when, make_exchange(**request_)) == ""
    assert judged(f"!({when})", make_exchange(**request_)) == "its condition is not met"


def test_a_body_that_is_here_is_measured():
    exchange = asking("Hi.")

    assert judged(f"body_size == {len(exchange.body_at_hand or b'')}", exchange) == ""


def test_what_asks_for_a_header_that_was_not_sent_is_not_met():
    assert judged("headers['x-tier'] != 'gold'", make_exchange()) == "its condition is not met"


def test_no_condition_admits_everybody_and_compiles_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)

    assert judged(None, make_exchange()) == ""


def test_a_condition_that_fails_while_it_is_judged_is_not_met_and_is_counted():
    class Counting(Facts):
        counted, warned = 0, 0

        def count(self, what, *labels):
            assert (what, labels) == ("conditions", ("up",))
            self.counted += 1

        def warn(self, event, **details):
            self.warned += 1

    facts = Counting()
    conditions, place = Conditions(facts), place_of(target(when="10 / body_size > 1"))
    for _ in range(3):
        assert conditions(make_exchange(headers={"content-length": "0"}), place).endswith(
            "could not be judged"
        )

    assert (facts.counted, facts.warned) == (3, 1)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("headers[", "when: column 1: Incomplete"),
        ("tenant ==", "when: column 10: Syntax error"),
        ("tennant == 'a'", "when: column 1: undeclared reference to 'tennant'"),
        ("body_size == 'x'", "when: column 11: found no matching overload"),
        ("tenant", "when: a condition is true or false, and this is a string"),
        ("tenant.matches('(')", "when: invalid regular expression"),
        ("nosuch(1)", "undeclared reference"),
        ("", "Syntax error"),
        ("true && " * 600 + "true", f"longer than {LONGEST} characters"),
        ("(" * 500 + "true" + ")" * 500, "recursion"),
    ],
)
def test_what_is_no_condition_is_told_with_its_place_before_any_request(when, why):
    told = refused(when)

    assert why.lower() in told.lower() or "syntax error" in told.lower()
    assert "\n" not in told
    assert len(told) < 300


def test_the_library_is_asked_for_where_a_condition_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)

    assert "llmproxy-gateway[conditions]" in refused("streamed")


def test_a_condition_that_would_take_long_is_stopped():
    sums, many = "a + b + c + d + e < 99", "[0,1,2,3,4,5,6,7,8,9]"
    for name in "edcba":
        sums = f"{many}.all({name}, {sums})"

    assert refused(sums) == "when: Iteration budget exceeded"


def test_a_condition_that_takes_long_with_this_request_alone_is_not_met():
    when = "headers.all(a, headers.all(b, headers.all(c, headers.all(d, a + b + c + d != ''))))"
    crowded = make_exchange(headers={f"x-{number}": "" for number in range(60)})

    assert judged(when, make_exchange()) == ""
    assert judged(when, crowded) == "its condition could not be judged"


@given(
    st.dictionaries(st.text("abc-", min_size=1), st.binary(max_size=20)),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_nothing_in_a_request_breaks_a_judgement(headers, model, tenant):
    exchange = make_exchange(model=model, caller=Caller(tenant))
    exchange.request.headers.raw += [(name.encode(), value) for name, value in headers.items()]
    when = "headers.all(name, headers[name] != 'x') && model != tenant + 'x' && !path.matches('nothing')"

    assert judged(when, exchange) in {"", "its condition is not met"}


def test_every_variable_can_be_asked_about():
    for name, (kind, _, _) in VARIABLES.items():
        compared = {"map": f"size({name}) >= 0", "STRING": f"{name} != 'x'", "INT": f"{name} > -2"}.get(kind)

        assert judged(compared or f"{name} || true", make_exchange()) == ""
