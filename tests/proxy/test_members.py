from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.members import MOST, MemberList, PoolMember
from llmproxy.metrics import Metrics


class Log:
    """Keeps the words that were logged."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def info(self, word: str, **_: Any) -> None:
        self.words.append(word)

    warning = info


class Made:
    """A list, and what it told."""

    def __init__(self, kept: tuple[PoolMember, ...] | None = None) -> None:
        self.metrics, self.log = Metrics(), Log()
        self.changes: list[tuple[PoolMember, ...] | None] = []
        self.list = MemberList(
            "dns", self.metrics, self.log, lambda each: self.changes.append(each.members), kept
        )

    def count(self, line: str) -> bool:
        return line in self.metrics.exposition([self.metrics.snapshot()])


A, B = PoolMember("10.0.0.1", 80), PoolMember("10.0.0.2", 80)


def test_a_list_is_told_on_once_it_has_changed() -> None:
    made = Made()
    made.list.set([A, B])
    made.list.set([A, B])
    made.list.set([B])

    assert made.changes == [(A, B), (B,)]
    assert made.list.known.is_set()
    assert made.count('llmproxy_members{plugin="dns"} 1')
    assert made.count('llmproxy_member_changes_total{plugin="dns",change="removed"} 1')


def test_an_address_that_is_listed_twice_is_one_member() -> None:
    made = Made()
    made.list.set([A, PoolMember("10.0.0.1", 80, 5.0)])

    assert made.list.members == (A,)


def test_an_empty_list_leaves_the_last_one_unless_it_is_allowed() -> None:
    made = Made()
    made.list.set([A])
    made.list.set([])
    kept = made.list.members
    made.list.set([], allow_empty=True)

    assert kept == (A,)
    assert made.list.members == ()
    assert made.count('llmproxy_discovery_failures_total{plugin="dns",reason="empty"} 1')


def test_a_registry_that_is_away_is_logged_once_and_counted_each_time() -> None:
    made = Made((A,))
    for _ in range(3):
        made.list.keep("it is away")
    made.list.set([A])

    assert made.log.words == ["members_kept", "members_heard_again"]
    assert made.count('llmproxy_discovery_failures_total{plugin="dns",reason="away"} 3')
    assert made.changes == []


def test_a_list_that_was_kept_is_known_from_the_start() -> None:
    assert Made((A,)).list.known.is_set()
    assert not Made().list.known.is_set()


def test_a_list_without_end_is_cut() -> None:
    made = Made()
    made.list.set(PoolMember("10.0.0.1", port) for port in range(1, MOST + 10))

    assert len(made.list.members or ()) == MOST
    assert "members_left_out" in made.log.words


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("10.0.0.1", 80, "10.0.0.1:80"),
        ("2001:DB8::1", 80, "[2001:db8::1]:80"),
        ("Backend.test.", 65535, "backend.test:65535"),
    ],
)
def test_a_member_is_an_address_or_a_name(host: str, port: int, address: str) -> None:
    member = PoolMember.read(host, port)

    assert member is not None
    assert member.address == address


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("", 80),
        ("a b", 80),
        ("a/b", 80),
        ("a@b", 80),
        ("a", 0),
        ("a", 65536),
        ("a", "80"),
        ("a", True),
        (None, 80),
    ],
)
def test_what_cannot_be_dialled_is_no_member(host: Any, port: Any) -> None:
    assert PoolMember.read(host, port) is None


def test_labels_are_text_and_few() -> None:
    member = PoolMember.read("a", 80, labels={"zone": "b", "n": 1, **{f"x{n}": "y" for n in range(99)}})

    assert member is not None
    assert len(member.labels) == 32
    assert ("n", "1") not in member.labels


@given(st.text(), st.integers(), st.none() | st.floats() | st.text() | st.booleans(), st.none() | st.text())
def test_whatever_is_listed_is_read_or_left_out(host: str, port: int, weight: Any, labels: Any) -> None:
    member = PoolMember.read(host, port, weight, labels)

    assert member is None or (0 < member.port < 65536 and 0 <= member.weight <= 1e6 and member.host)


def test_a_list_that_is_too_long_is_told_of_once() -> None:
    made = Made()
    for last in (300, 301):
        found = (PoolMember(f"10.0.{n // 256}.{n % 256}", 80) for n in range(MOST + last))
        made.list.set(found)

    assert made.log.words.count("members_left_out") == 1


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "fe80::1", "fe80::1%eth0"),
        *(
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "0xa9fea9fe",
            "fd00:ec2::254",
            "2001:db8::1%\r\nx",
            "1.2.3.4.5",
        ),
    ],
)
def test_nobodys_service_is_where_no_host_is_or_a_cloud_tells_secrets(host: str) -> None:
    assert PoolMember.read(host, 80) is None


def test_an_address_is_the_same_member_however_it_is_spelt() -> None:
    spelt = ["10.1.2.3", "10.1.2.3.", "167838211", "0xa.1.2.3", "10.66051"]

    assert {PoolMember.read(host, 80) for host in spelt} == {PoolMember("10.1.2.3", 80)}
    assert PoolMember.read("127.0.0.1", 80) == PoolMember("127.0.0.1", 80)
