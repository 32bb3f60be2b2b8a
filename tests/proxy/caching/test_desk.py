import pytest

from llmproxy.caching.desk import read_pace
from llmproxy.caching.warming import Pace
from llmproxy.errors import BadRequest


def test_a_pace_is_read_from_the_query() -> None:
    assert read_pace("") == Pace()
    assert read_pace("concurrency=9&rate=0.5&within=2m") == Pace(9, 0.5, 120.0)


@pytest.mark.parametrize(
    "query",
    [
        "concurrency=0",
        "concurrency=257",
        "concurrency=x",
        "rate=-1",
        "rate=nan",
        "rate=inf",
        "within=0s",
        "within=1h",
        "speed=9",
    ],
)
def test_a_pace_out_of_bounds_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        read_pace(query)
