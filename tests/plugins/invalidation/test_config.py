from typing import Any

import pytest

from llmproxy.plugin import ConfigError, Secret
from llmproxy_invalidation.config import Channel, InvalidationConfig, PurgeMethod, Stream, Webhook

SECRET = Secret("0123456789abcdef")


def test_a_source_may_be_left_to_its_defaults() -> None:
    webhook = Webhook(path="/hooks/cms", secrets=(SECRET,))

    assert (webhook.auth, webhook.tolerance, webhook.max_body) == ("signature", 300, 65536)
    assert Channel(store="events", channel="purges").after_gap == "soft"
    assert InvalidationConfig().webhooks == ()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"path": "hooks"}, "no plain path"),
        ({"path": "/hooks/*"}, "no plain path"),
        ({"secrets": ()}, "nobody could send"),
        ({"secrets": (Secret("short"),)}, "could be guessed"),
        ({"secrets": (Secret("whsec_c2hvcnQ="),)}, "could be guessed"),
        ({"secrets": (Secret("whsec_not base64"),)}, "not base64"),
    ],
)
def test_a_webhook_that_anybody_or_nobody_could_use_is_refused(told: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Webhook(**{"path": "/hooks/cms", "secrets": (SECRET,), **told})


def test_two_webhooks_need_two_paths() -> None:
    webhook = Webhook(path="/a", secrets=(SECRET,))

    with pytest.raises(ConfigError, match="taken"):
        InvalidationConfig(webhooks=(webhook, webhook))


def test_a_stream_without_rules_has_its_orders_in_a_field() -> None:
    assert Stream(store="s", stream="x", field="order").field == "order"
    with pytest.raises(ConfigError, match="which field"):
        Stream(store="s", stream="x")


@pytest.mark.parametrize("told", [{}, {"networks": ("10.0.0.0/33",)}, {"networks": ("10.0.0.1/8",)}])
def test_purge_names_who_may(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PurgeMethod(**told)
