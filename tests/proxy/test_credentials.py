"""Keys become headers, prepared; several of them take turns on real requests."""

import pytest
import structlog.testing

from llmproxy.credentials import credentials_of
from llmproxy.http_api import HttpApi
from llmproxy.plugin import Secret, UpstreamConfig
from llmproxy.testing import FakeUpstream, make_exchange, make_process, running_route

FACE = HttpApi()


def configured(url, *keys):
    secrets = tuple(Secret(f"sk-{key}", f"${{env:{key}}}") for key in keys)
    return UpstreamConfig(base_url=url, dialect="http", api_key=secrets, proxy=None)


def test_one_key_is_sent_with_every_request():
    known = credentials_of("main", configured("http://h", "A"), FACE, make_process())

    assert known.fixed == [(b"Authorization", b"Bearer sk-A")]
    assert (known.keyed, known.keys) == ((), None)


def test_several_keys_are_apart_from_what_all_requests_carry():
    known = credentials_of("main", configured("http://h", "A", "B"), FACE, make_process())

    assert known.fixed == []
    assert known.keyed == ([(b"Authorization", b"Bearer sk-A")], [(b"Authorization", b"Bearer sk-B")])
    assert len(known.keys) == 2


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


def keys_asked(api):
    return [request.header("authorization").removeprefix("Bearer sk-") for request in api.requests]


def keyed_config(api, *names):
    keys = [f"${{env:{name}}}" for name in names]
    upstream = {"base_url": api.url, "dialect": "http", "proxy": None, "api_key": keys}
    return {"upstreams": {"keyed": upstream}, "routes": [{"name": "test", "upstream": "keyed"}]}


def serving(api, *names, process=None):
    environ = {name: f"sk-{name}" for name in names}
    return running_route([], config=keyed_config(api, *names), environ=environ, process=process)


async def asked(route, times, **how):
    return [(await route.serve(make_exchange(**how))).reply.status for _ in range(times)]


async def test_requests_take_the_keys_in_turn_and_a_callers_own_is_left_out(api):
    api.reply(json={})
    async with serving(api, "A", "B", "C") as route:
        await asked(route, 4, headers={"Authorization": "Bearer theirs"})

    assert keys_asked(api) == ["A", "B", "C", "A"]


async def test_a_dead_key_rests_across_reloads(api):
    api.reply(json={}).reply(401, json={}).reply(json={})
    process = make_process()
    async with serving(api, "A", "B", process=process) as old:
        before = await asked(old, 3)
        async with serving(api, "B", "C", process=process) as new:
            after = await asked(new, 3)

    assert (before, after) == ([200, 401, 200], [200, 200, 200])
    assert keys_asked(api) == ["A", "B", "A", "C", "C", "C"]


async def test_which_key_was_used_is_known_as_a_number_and_nowhere_as_itself(api):
    api.reply(403, json={})
    process = make_process()
    with structlog.testing.capture_logs() as lines:
        async with serving(api, "A", "B", process=process) as route:
            served = [await route.serve(make_exchange()) for _ in range(2)]
            config, upstream = route.generation.config, route.generation.assembly.upstreams["keyed"]
    attempts = [attempt for each in served for attempt in each.exchange.attempts]
    told = process.metrics.exposition([process.metrics.snapshot()])

    assert [attempt.key for attempt in attempts] == [0, 1]
    assert [
        (line["reference"], line["reason"]) for line in lines if line["event"] == "upstream_key_rests"
    ] == [
        ("${env:A}", "permission"),
        ("${env:B}", "permission"),
    ]
    assert 'llmproxy_upstream_key_rests_total{upstream="keyed",key="2",reason="permission"} 1' in told
    assert "sk-" not in "".join(map(repr, (*lines, *attempts, config, upstream, upstream.keys))) + told
