import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.registries import FakeConsul

from llmproxy.plugin import BadRegistry
from llmproxy_discovery_consul.instances import next_index, read_instances

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["Service", "Node", "Port", "Address", "Weights"]), inner)
    ),
)


def test_an_instances_weight_and_meta_are_taken() -> None:
    [member] = read_instances(
        [FakeConsul.instance(80, Weights={"Passing": 10, "Warning": 1}, Meta={"zone": "a"})]
    )

    assert (member.address, member.weight, member.labels) == ("127.0.0.1:80", 10.0, (("zone", "a"),))


def test_an_instance_without_an_address_is_at_its_nodes() -> None:
    [member] = read_instances([FakeConsul.instance(80, address="")])

    assert member.address == "10.9.9.9:80"


def test_an_instance_without_a_port_is_left_out() -> None:
    assert [each.port for each in read_instances([FakeConsul.instance(0), FakeConsul.instance(81)])] == [81]


@pytest.mark.parametrize("answer", [{}, None, [1], [{"Node": {}}]])
def test_what_is_no_list_of_instances_is_refused(answer: Any) -> None:
    with pytest.raises(BadRegistry):
        read_instances(answer)


@given(JSON)
def test_whatever_comes_is_read_or_refused(answer: Any) -> None:
    with contextlib.suppress(BadRegistry):
        read_instances(answer)


@pytest.mark.parametrize(
    ("before", "told", "then"),
    [
        (0, "5", 5),
        (5, "5", 5),
        (5, "6", 6),
        (5, "4", 0),
        (5, None, 0),
        (5, "x", 0),
        (0, "0", 0),
        (0, "-1", 0),
    ],
)
def test_an_index_that_goes_back_begins_anew(before: int, told: str | None, then: int) -> None:
    assert next_index(before, told) == then
