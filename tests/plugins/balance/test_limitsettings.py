"""The section `queue`."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_balance.limitsettings import QueueSettings


def test_a_number_is_the_length():
    assert decode_struct(QueueSettings, 7) == QueueSettings(length=7)


@pytest.mark.parametrize("tree", [{"target": "0s"}, {"target": "6s"}, {"length": -1}, True])
def test_a_line_that_cannot_be_is_refused(tree):
    with pytest.raises(ConfigErrors):
        decode_struct(QueueSettings, tree, "queue")
