import msgspec

from llmproxy.plugin import AccountScope, reserving
from llmproxy_quota.book import Rule, rule_of
from llmproxy_quota.config import LimitConfig
from llmproxy_quota.portions import Portions


def rule(name: str, **told: object) -> Rule:
    config = msgspec.convert({"name": name, "at_most": 100, **told}, LimitConfig)
    return rule_of(config, AccountScope("tenant", "t"), name.encode())


RULES = (
    rule("words", counts="tokens", window="day", mode="soft"),
    rule("money", counts="money", window="month"),
)


def test_a_portion_claims_its_amounts_in_the_mode_of_each_limit() -> None:
    found = Portions(b"tag", RULES).of((7, 9))

    assert [(want.limit.key, want.amount, want.mode) for want in found.wants] == [
        (b"words", 7, "soft"),
        (b"money", 9, "hard"),
    ]
    assert found.amounts == (7, 9)
    assert found.lasting
    assert found.kind == reserving.kind_of(b"tag", found.wants)


def test_others_see_what_was_taken_of_each_limit() -> None:
    found = Portions(b"tag", RULES).of((7, 9))

    assert [(each.limit, each.measure, each.window, each.amount, each.likely) for each in found.taken] == [
        ("words", "tokens", "day", 7, True),
        ("money", "money", "month", 9, False),
    ]


def test_what_is_asked_for_again_is_the_same() -> None:
    portions = Portions(b"tag", RULES)
    first = portions.of((7, 9))
    for amount in range(300):
        portions.of((amount, amount))

    assert portions.of((7, 9)) == first
    assert portions.of((7, 9)) is portions.of((7, 9))
    assert len(portions._known) <= 256


def test_rates_leave_nothing_to_settle() -> None:
    found = Portions(b"tag", (rule("rate", counts="requests", rate=60, mode="shadow"),)).of((1,))

    assert not found.lasting
