import pytest

from llmproxy.plugin import ConfigError
from llmproxy_calllog.config import CallLogConfig, CallLogRoute, strictest


def test_a_file_needs_a_path():
    for to in ("sqlite", "jsonl"):
        with pytest.raises(ConfigError, match="where to keep"):
            CallLogConfig(to=to)


def test_standard_output_needs_none():
    assert CallLogConfig(to="stdout").bodies == "off"


def test_to_keep_nothing_is_refused():
    with pytest.raises(ConfigError, match="null keeps"):
        CallLogConfig(path="calls.db", keep=0)


def test_a_route_says_nothing_of_bodies_by_itself():
    assert CallLogRoute().bodies is None


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ((None, None), None),
        (("full", None), "full"),
        (("full", "redacted"), "redacted"),
        (("off", "full"), "off"),
    ],
)
def test_the_strictest_of_what_was_said_holds(said, holds):
    assert strictest(*said) == holds
