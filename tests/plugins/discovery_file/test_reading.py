import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRegistry, PoolMember
from llmproxy_discovery_file.reading import read_members

YAML = b"""
- 10.0.0.1:8080
- "[2001:db8::1]:8080"
- {host: backend.test, port: 80, weight: 2, labels: {zone: b}}
"""


def test_members_are_written_short_or_with_all_that_can_be_said() -> None:
    assert read_members(YAML, json=False) == [
        PoolMember("10.0.0.1", 8080),
        PoolMember("2001:db8::1", 8080),
        PoolMember("backend.test", 80, 2.0, (("zone", "b"),)),
    ]


def test_they_may_stand_under_a_key_and_be_json() -> None:
    assert read_members(b'{"members": ["10.0.0.1:80"]}', json=True) == [PoolMember("10.0.0.1", 80)]
    assert read_members(b"members: []", json=False) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"- [", "not YAML: line 1"),
        (b"members: 5", "neither a list"),
        (b"", "neither a list"),
        (b"- 10.0.0.1", r"members\[0\]: write"),
        (b"- 10.0.0.1:80\n- 10.0.0.2:0", r"members\[1\]: not a host and a port"),
        (b"- 10.0.0.1:99999999999", r"members\[0\]: not a host"),
        (b"- {host: a, prot: 80}", r"members\[0\]: write"),
        (b"- {host: a, port: 80, weight: -1}", r"members\[0\].weight"),
        (b"- {host: 'a b', port: 80}", r"members\[0\]: not a host"),
        (b"\xff", "not YAML"),
    ],
)
def test_one_mistake_spoils_the_whole_list(text: bytes, message: str) -> None:
    with pytest.raises(BadRegistry, match=message):
        read_members(text, json=False)


@given(st.binary(max_size=60), st.booleans())
def test_whatever_stands_there_is_read_or_refused(data: bytes, json: bool) -> None:
    with contextlib.suppress(BadRegistry):
        read_members(data, json=json)
