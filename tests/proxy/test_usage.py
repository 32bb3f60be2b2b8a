import msgspec
import pytest

from llmproxy.exchange import Usage as Exported
from llmproxy.usage import Parts, Usage, count_of


def test_the_sum_of_its_buckets_is_the_total_and_nothing_else_counts() -> None:
    usage = Usage(1, 2, 3, 4, 5, units=7, parts=Parts(input_audio=1))

    assert usage.total == 15
    assert Exported is Usage


def test_it_comes_back_from_where_it_was_kept_with_or_without_parts() -> None:
    for usage in (Usage(1), Usage(1, units=2, parts=Parts(output_image=3))):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(usage), type=Usage) == usage


@pytest.mark.parametrize(("told", "count"), [(0, 0), (12, 12), (12.0, 12), (2**60, 2**60)])
def test_a_whole_number_is_a_count_with_or_without_a_fraction(told: object, count: int) -> None:
    assert count_of(told) == count
    assert type(count_of(told)) is int


@pytest.mark.parametrize("told", [None, True, "12", -1, -1.0, 12.5, 1e300, [], {}, float("nan")])
def test_nothing_else_is_a_count(told: object) -> None:
    assert count_of(told) is None
