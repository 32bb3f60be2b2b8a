from hypothesis import given
from hypothesis import strategies as st

from llmproxy_discovery_dns.records import Srv, srv_members

RECORDS = st.builds(
    Srv, st.integers(0, 3), st.integers(0, 100), st.integers(1, 65535), st.sampled_from(["a.", "b.", "c."])
)
PLACES = {"a.": ["10.0.0.1"], "b.": ["10.0.0.2", "10.0.0.3"], "c.": []}


def told(*records: Srv) -> list[tuple[str, float]]:
    return [(member.address, member.weight) for member in srv_members(records, PLACES)]


def test_the_lowest_priority_is_asked_by_weight_and_the_others_when_it_fails() -> None:
    assert told(Srv(10, 5, 80, "b."), Srv(1, 3, 80, "a.")) == [
        ("10.0.0.1:80", 3.0),
        ("10.0.0.2:80", 0.0),
        ("10.0.0.3:80", 0.0),
    ]


def test_the_addresses_of_a_target_share_its_weight() -> None:
    assert told(Srv(1, 4, 80, "b.")) == [("10.0.0.2:80", 2.0), ("10.0.0.3:80", 2.0)]


def test_weight_nought_is_hardly_ever_asked_unless_all_have_it() -> None:
    assert told(Srv(1, 0, 80, "a."), Srv(1, 2, 81, "a.")) == [("10.0.0.1:80", 0.01), ("10.0.0.1:81", 2.0)]
    assert told(Srv(1, 0, 80, "a."), Srv(1, 0, 81, "a.")) == [("10.0.0.1:80", 1.0), ("10.0.0.1:81", 1.0)]


def test_a_dot_says_that_there_is_nobody() -> None:
    assert told(Srv(0, 0, 1, ".")) == []


@given(st.lists(RECORDS, max_size=6), st.randoms())
def test_the_order_of_the_answer_does_not_matter(records: list[Srv], random: object) -> None:
    shuffled = records[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert told(*records) == told(*shuffled)
