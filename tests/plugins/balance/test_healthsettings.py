from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_balance.healthsettings import HealthSettings, ProbeSettings


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"window": 0.0}, "window"),
        ({"rest": 0.0}, "rest"),
        ({"rest": 5.0, "longest_rest": 1.0}, "longest_rest"),
        ({"park": 700.0}, "longest_park"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HealthSettings(**given)

    assert caught.value.path == path


@pytest.mark.parametrize("path", ["health", "", "/a b", "/a\r\nHost: b", "/ä"])
def test_a_probes_path_is_one(path: str) -> None:
    with pytest.raises(ConfigError, match="path"):
        ProbeSettings(path=path)


@pytest.mark.parametrize("key", ["interval", "timeout"])
def test_probes_are_not_asked_for_without_a_pause(key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        ProbeSettings(**{key: 0.01})


def test_a_probe_may_be_written_as_its_path() -> None:
    assert ProbeSettings.from_shorthand("/health") == {"path": "/health"}
    assert ProbeSettings.from_shorthand({"interval": "1s"}) == {"interval": "1s"}
