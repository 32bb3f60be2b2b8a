import pytest

from llmproxy.plugin import ConfigError
from llmproxy_discovery_file.config import FileConfig


def test_a_path_is_enough() -> None:
    assert FileConfig(path="/a.yaml").interval == 1.0


@pytest.mark.parametrize("fields", [{"path": ""}, {"path": "/a", "interval": 0.0}])
def test_what_cannot_be_watched_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        FileConfig(**fields)  # type: ignore[arg-type]
