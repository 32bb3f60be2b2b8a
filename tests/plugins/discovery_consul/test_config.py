import pytest

from llmproxy.plugin import ConfigError
from llmproxy_discovery_consul.config import ConsulConfig


def test_a_service_is_enough() -> None:
    assert ConsulConfig(service="backend").address == "http://127.0.0.1:8500"


@pytest.mark.parametrize(
    "fields", [{"service": ""}, {"service": "a", "hold": 0.5}, {"service": "a", "hold": 700.0}]
)
def test_what_cannot_be_asked_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ConsulConfig(**fields)  # type: ignore[arg-type]
