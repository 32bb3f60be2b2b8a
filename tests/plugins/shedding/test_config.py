"""What may be configured."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_shedding.config import SheddingConfig


@pytest.mark.parametrize("tree", [{"lag": None}, {"lag": "0s"}, {"in_flight": 0}])
def test_what_refuses_nothing_or_everything_is_refused(tree):
    with pytest.raises(ConfigErrors):
        decode_struct(SheddingConfig, tree, "plugins.shedding")


def test_either_measure_is_enough():
    assert decode_struct(SheddingConfig, {"lag": None, "in_flight": 3}).in_flight == 3
    assert decode_struct(SheddingConfig, {}).lag == 0.025
