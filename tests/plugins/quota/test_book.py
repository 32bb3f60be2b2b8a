from typing import Any

import msgspec

from llmproxy.plugin import AccountScope, reserving
from llmproxy_quota.book import Book, limit_of
from llmproxy_quota.config import LimitConfig

SCOPES = (AccountScope("tenant", "acme"), AccountScope("key", "prod-1"), AccountScope("model", "fast"))


def limit(name: str, **given: Any) -> LimitConfig:
    return msgspec.convert(
        {"name": name, "counts": "requests", "at_most": 5, "window": "day", **given}, LimitConfig
    )


def test_limits_are_found_by_scope_and_name() -> None:
    book = Book(
        "quota",
        [
            limit("a"),
            limit("b", scope="key", match="prod-*"),
            limit("c", scope="key", match="test-*"),
            limit("d", scope="model", counts="tokens"),
            limit("e", scope="team"),
        ],
    )
    found = book.rules("acme", SCOPES)

    assert [rule.config.name for rule in found.early] == ["a", "b"]
    assert [rule.config.name for rule in found.late] == ["d"]
    assert not book.asks_model


def test_some_accounts_have_another_limit_of_the_same_name() -> None:
    book = Book("quota", [limit("a", scope="team", at_most_for={"search": 9, "trial-*": 1, "*": 4})])
    found = {
        team: book.rules("acme", (AccountScope("team", team),)).early[0]
        for team in ("search", "trial-7", "other")
    }

    assert {team: rule.config.whole for team, rule in found.items()} == {
        "search": 9,
        "trial-7": 1,
        "other": 4,
    }
    assert [rule.limit.limit for rule in found.values()] == [9, 1, 4]
    assert len({rule.limit.key for rule in found.values()}) == 3


def test_no_two_tenants_limits_or_names_share_a_key() -> None:
    book = Book("quota", [limit("a", scope="key"), limit("b", scope="key")])
    keys = [
        rule.limit.key
        for tenant in ("x", "y", "a")
        for name in ("k", "kk", "k1")
        for rule in book.rules(tenant, (AccountScope("key", name),)).early
    ]

    assert len(set(keys)) == len(keys) == 18
    assert len({book.tag(tenant) for tenant in ("x", "y", "*", "x" * 300, "x" * 301)}) == 5


def test_a_limit_keeps_its_count_as_long_as_it_counts_the_same() -> None:
    def key(**given: Any) -> bytes:
        given = {"at_most": 5, "window": "day"} | given
        config = msgspec.convert({"name": "a", "counts": "requests"} | given, LimitConfig)
        scopes = (AccountScope("tenant", "x"), AccountScope("team", "x"))
        rules = Book("quota", [config]).rules("x", scopes)
        return (rules.early + rules.late)[0].limit.key

    other = [
        key(window="hour"),
        key(window=None, rolling=3600),
        key(window=None, rolling=60),
        key(window=None, rate=60),
        key(window=None, rate=3600),
        key(window=None, counts="in_flight"),
        key(counts="tokens"),
        key(counts="money"),
        key(scope="team"),
    ]

    assert key(at_most=6, mode="soft", match="x*") == key()
    assert key(window=None, rate=60, burst=2) == key(window=None, rate=60)
    assert len({key(), *other}) == 10


def test_what_all_tenants_share_has_one_key_and_one_tag() -> None:
    book = Book("quota", [limit("a", scope="model", across=True)])
    rules = [book.rules(tenant, SCOPES).early[0] for tenant in ("x", "y")]

    assert rules[0].limit == rules[1].limit
    assert book.tag("x") == book.tag("y")
    assert book.asks_model


def test_times_are_counted_as_the_configuration_says() -> None:
    def counted(**given: Any) -> reserving.Limit:
        return limit_of(
            msgspec.convert({"name": "x", "counts": "requests", "at_most": 5} | given, LimitConfig), b"k"
        )

    second = reserving.SECOND
    assert counted(rate=60) == reserving.Rate(b"k", 5, 60 * second, 5)
    assert counted(rate=60, burst=2) == reserving.Rate(b"k", 5, 60 * second, 2)
    assert counted(counts="in_flight") == reserving.Lease(b"k", 5)
    assert counted(rolling=100) == reserving.Window(b"k", 5, 5 * second, keep=21)
    assert counted(window="month") == reserving.Window(b"k", 5, 0)
    assert counted(window="week") == reserving.Window(b"k", 5, 7 * 86_400 * second, 4 * 86_400 * second)
