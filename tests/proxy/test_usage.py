import msgspec

from llmproxy.exchange import Usage as Exported
from llmproxy.usage import Parts, Usage


def test_the_sum_of_its_buckets_is_the_total_and_nothing_else_counts() -> None:
    usage = Usage(1, 2, 3, 4, 5, units=7, parts=Parts(input_audio=1))

    assert usage.total == 15
    assert Exported is Usage


def test_it_comes_back_from_where_it_was_kept_with_or_without_parts() -> None:
    for usage in (Usage(1), Usage(1, units=2, parts=Parts(output_image=3))):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(usage), type=Usage) == usage
