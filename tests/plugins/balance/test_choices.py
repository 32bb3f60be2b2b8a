"""What led a request is told as structured fields, and nothing of what it says."""

import http_sf

from llmproxy.arms import ARM, Arm
from llmproxy.messages import Reply
from llmproxy.testing import make_exchange
from llmproxy_balance.choices import CHOICE, choices_of, tell_choice
from llmproxy_balance.complexity import JUDGED, complexity_of
from llmproxy_balance.policies import POLICY
from llmproxy_balance.reading import talk_of

from .places import asking


def test_where_nothing_was_chosen_nothing_is_told():
    reply = Reply(200)
    tell_choice(make_exchange(), reply)

    assert CHOICE not in reply.headers


def test_policy_arm_and_complexity_are_told_as_a_dictionary():
    exchange = asking("Explain step by step why the secret sauce works.")
    exchange.state[POLICY] = "cheap"
    exchange.state[ARM] = Arm("chat", 'a "new" one', sticky=False)
    exchange.state[JUDGED] = complexity_of(talk_of(exchange))
    reply = Reply(200)
    tell_choice(exchange, reply)
    told = http_sf.parse((reply.headers.get(CHOICE) or "").encode(), tltype="dictionary")

    assert told["policy"] == ("cheap", {})
    assert told["arm"] == ('a "new" one', {"experiment": "chat", "sticky": False})
    score, parts = told["complexity"]
    assert 0 < float(score) < 1
    assert set(parts) == {"length", "reasoning", "code", "tools", "turns"}
    assert "sauce" not in str(told)


def test_a_sticky_arm_is_the_rule_and_needs_no_word():
    exchange = make_exchange()
    exchange.state[ARM] = Arm("chat", "canary", sticky=True)

    assert dict(choices_of(exchange)) == {"arm": '"canary";experiment="chat"'}
