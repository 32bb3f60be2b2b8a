import pytest

from llmproxy.plugin import ConfigError
from llmproxy_metrics.config import MetricsConfig


def test_the_default_tells_a_cached_answer_from_a_long_stream():
    config = MetricsConfig()

    assert config.buckets[0] <= 0.001
    assert config.buckets[-1] >= 300


@pytest.mark.parametrize("buckets", [(), (1, 0.5), (1, 1), (0, 1), (-1, 1), (1, float("inf"))])
def test_bounds_that_do_not_rise_from_above_zero_are_refused(buckets):
    with pytest.raises(ConfigError, match="buckets"):
        MetricsConfig(buckets=buckets)
