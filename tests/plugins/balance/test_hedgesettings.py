"""How long a place has to itself."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.plugin import Endpoint, Place
from llmproxy.poolsettings import TargetConfig
from llmproxy_balance.hedgesettings import HedgeSettings


@pytest.mark.parametrize(
    ("tree", "usual", "wait"),
    [
        ("3s", None, 3.0),
        ("3s", 60.0, 3.0),
        ({"after": "1s", "times": 4}, None, 1.0),
        ({"after": "1s", "times": 4}, 0.1, 1.0),
        ({"after": "1s", "times": 4}, 0.5, 2.0),
    ],
)
def test_it_is_what_is_written_or_a_multiple_of_the_usual_time(tree, usual, wait):
    place = Place("p", TargetConfig(upstream="p"), endpoint=Endpoint("p"))
    place.vitals.latency = usual

    assert decode_struct(HedgeSettings, tree, "hedge").wait(place) == wait
