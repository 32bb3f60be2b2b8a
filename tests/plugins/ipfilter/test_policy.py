from __future__ import annotations

import pytest

from llmproxy_ipfilter import policy as module
from llmproxy_ipfilter.networks import Networks, read_network
from llmproxy_ipfilter.policy import Policy


def policy(allow: list[str], deny: list[str], *, nameless: bool = False) -> Policy:
    sets = [[Networks([read_network(text)]) for text in texts] for texts in (allow, deny)]
    return Policy(*sets, only_allowed=bool(allow), nameless=nameless)


@pytest.mark.parametrize(
    ("allow", "deny", "client", "admitted"),
    [
        ([], [], "1.2.3.4", True),
        ([], ["1.2.3.0/24"], "1.2.3.4", False),
        ([], ["1.2.3.0/24"], "1.2.4.4", True),
        (["1.0.0.0/8"], ["1.2.3.0/24"], "1.2.3.4", False),
        (["1.0.0.0/8"], ["1.2.3.0/24"], "1.3.3.4", True),
        (["1.0.0.0/8"], [], "2.3.3.4", False),
        (["1.0.0.0/8", "::/0"], [], "2001:db8::1", True),
        ([], [], "unknown", False),
    ],
)
def test_what_is_denied_never_and_what_is_allowed_alone(
    allow: list[str], deny: list[str], client: str, admitted: bool
) -> None:
    asked = policy(allow, deny)

    assert [asked.admits(client), asked.admits(client)] == [admitted, admitted]


def test_a_caller_without_an_address_is_judged_by_the_configuration() -> None:
    assert not policy([], []).admits("")
    assert policy(["1.2.3.4"], [], nameless=True).admits("")


def test_verdicts_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    asked = policy([], ["10.0.0.0/8"])
    verdicts = [asked.admits(f"10.0.0.{n}") for n in range(9)]

    assert verdicts == [False] * 9
    assert len(asked._known) == 3
