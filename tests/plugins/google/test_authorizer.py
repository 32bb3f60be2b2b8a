"""Requests with tokens through the gateway: renewed before they end, once for all, and when they are refused."""

import asyncio
import os
import subprocess
import sys

import pytest

from llmproxy.plugin import ConfigError, Reply, UpstreamConfig
from llmproxy.testing import make_exchange, running_route
from llmproxy_google.authorizer import make_authorizer
from llmproxy_google.config import GoogleOptions


def serving(google, options=None):
    auth = {"google": {"key": "${env:KEY}", **(options or {})}}
    section = {"base_url": f"{google.url}/api", "dialect": "http", "proxy": None, "auth": auth}
    config = {"upstreams": {"cloud": section}, "routes": [{"name": "test", "upstream": "cloud"}]}
    return running_route({}, config=config, environ={"KEY": google.service_account()})


async def served(route, **how):
    return (await route.serve(make_exchange(**{"path": "/x", **how}))).reply


async def test_a_request_bears_a_token_in_place_of_what_its_caller_sent(google):
    headers = {"Authorization": "Bearer the-caller's", "x-goog-api-key": "the-caller's"}
    async with serving(google, {"quota_project": "payer"}) as route:
        reply = await served(route, headers=headers)

    assert reply.status == 200
    assert google.seen[1]["authorization"] == "Bearer token-1"
    assert google.seen[1]["x-goog-user-project"] == "payer"
    assert "the-caller's" not in str(google.seen)


async def test_tokens_that_end_under_load_are_renewed_without_one_failed_request(google):
    google.lives = 1.0
    loop = asyncio.get_running_loop()
    statuses = []

    async def caller(route, until):
        while loop.time() < until:
            statuses.append((await served(route, method="POST", body=b"{}")).status)
            await asyncio.sleep(0.005)

    async with serving(google) as route:
        await served(route)
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(caller(route, loop.time() + 2.6))

    assert set(statuses) == {200}
    assert len(statuses) > 300
    assert google.refused == 0
    assert 3 <= google.asked <= 5


async def test_a_revoked_token_is_renewed_once_for_all_whom_it_was_refused_to(google):
    async with serving(google) as route:
        await served(route)
        google.revoke_all()
        replies = await asyncio.gather(*(served(route) for _ in range(20)))

    assert [reply.status for reply in replies] == [200] * 20
    assert google.asked == 2


async def test_a_permission_that_lacks_is_no_matter_of_tokens(google):
    authorizer = make_authorizer(UpstreamConfig(base_url=google.url), GoogleOptions())

    assert not await authorizer.renew(Reply(403))
    assert google.asked == 0


async def test_while_no_token_is_given_requests_are_refused_and_google_is_left_alone(google):
    google.refusal = {"error": "invalid_grant"}
    async with serving(google) as route:
        replies = [await served(route) for _ in range(20)]

    assert {reply.status for reply in replies} == {503}
    assert google.asked == 1
    assert google.served == google.refused == 0


def test_the_library_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("llmproxy_google.authorizer.find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r"llmproxy-gateway\[google\]"):
        make_authorizer(UpstreamConfig(base_url="https://x"), GoogleOptions())


def test_the_library_is_imported_with_the_first_request_only():
    code = "import sys, llmproxy_google; print('google.auth' in sys.modules, 'requests' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )

    assert run.stdout.strip() == "False False"
