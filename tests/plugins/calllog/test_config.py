import pytest

from llmproxy.plugin import ConfigError, PostgresUrl
from llmproxy_calllog.config import CallLogConfig, CallLogRoute, strictest


def test_a_file_needs_a_path():
    for to in ("sqlite", "jsonl"):
        with pytest.raises(ConfigError, match="where to keep"):
            CallLogConfig(to=to)


def test_a_postgres_needs_its_url_and_nothing_else_takes_one():
    url = PostgresUrl("postgres://db/calls")

    assert CallLogConfig(to="postgres", url=url).url == url
    with pytest.raises(ConfigError, match="which Postgres"):
        CallLogConfig(to="postgres", path="calls.db")
    with pytest.raises(ConfigError, match="path: of no use with 'to: postgres'"):
        CallLogConfig(to="postgres", url=url, path="calls.db")
    with pytest.raises(ConfigError, match="of no use with 'to: sqlite'"):
        CallLogConfig(path="calls.db", url=url)


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
