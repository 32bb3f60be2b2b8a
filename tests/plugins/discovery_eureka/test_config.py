import pytest

from llmproxy.plugin import ConfigError
from llmproxy_discovery_eureka.config import EurekaConfig


def test_an_application_and_a_server_are_enough() -> None:
    assert EurekaConfig(application="a", servers=("http://e/eureka",)).interval == 30.0


@pytest.mark.parametrize(
    "fields",
    [
        {"application": "", "servers": ("http://e",)},
        {"application": "a", "servers": ()},
        {"application": "a", "servers": ("http://e",), "interval": 0.0},
        {"application": "a", "servers": ("http://e",), "username": "u"},
    ],
)
def test_what_cannot_be_asked_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        EurekaConfig(**fields)  # type: ignore[arg-type]
