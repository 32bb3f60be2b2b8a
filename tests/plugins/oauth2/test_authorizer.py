"""Tokens on requests through the gateway: renewed in time, once for all, and when they are refused."""

import asyncio

import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.testing import FakeUpstream, make_exchange, running_route


class Login:
    """A token server and an API that refuses whose token is not the last."""

    def __init__(self):
        self.asked = self.served = 0
        self.lives = 3600
        self.status = 200

    async def token(self, request):
        await request.post()
        self.asked += 1
        told = {"access_token": f"t{self.asked}", "token_type": "Bearer", "expires_in": self.lives}
        return web.json_response(
            told if self.status == 200 else {"error": "invalid_client"}, status=self.status
        )

    async def api(self, request):
        if request.headers.get("Authorization") != f"Bearer t{self.asked}":
            return web.json_response({}, status=401)
        self.served += 1
        return web.json_response({})


@pytest.fixture
async def login():
    login, app = Login(), web.Application()
    app.router.add_post("/token", login.token)
    app.router.add_route("*", "/api/{rest:.*}", login.api)
    async with served(app) as login.url:
        yield login


def serving(login, base_url=""):
    options = {"token_url": f"{login.url}/token", "client_id": "me", "client_secret": "${env:SECRET}"}
    section = {"base_url": base_url or f"{login.url}/api", "dialect": "http", "auth": {"oauth2": options}}
    config = {
        "upstreams": {"own": {**section, "proxy": None}},
        "routes": [{"name": "test", "upstream": "own"}],
    }
    return running_route({}, config=config, environ={"SECRET": "s"})


async def reply_of(route):
    return (await route.serve(make_exchange(path="/x", headers={"Authorization": "Bearer own"}))).reply


async def test_one_token_is_got_for_all_requests(login):
    async with serving(login) as route:
        replies = await asyncio.gather(*(reply_of(route) for _ in range(20)))

    assert [reply.status for reply in replies] == [200] * 20
    assert (login.asked, login.served) == (1, 20)


async def test_a_refused_token_is_renewed_once_for_all(login):
    async with serving(login) as route:
        await reply_of(route)
        login.asked += 1  # so that the API takes the next one only
        replies = await asyncio.gather(*(reply_of(route) for _ in range(20)))

    assert [reply.status for reply in replies] == [200] * 20
    assert login.asked == 3


async def test_without_a_token_nothing_is_sent(login):
    login.status = 401
    async with FakeUpstream() as api, serving(login, api.url) as route:
        replies = [await reply_of(route) for _ in range(5)]

        assert {reply.status for reply in replies} == {503}
        assert api.requests == []
    assert login.asked == 1


async def test_a_server_that_is_away_is_told_likewise(login):
    login.url = "http://127.0.0.1:9"
    async with serving(login) as route:
        assert (await reply_of(route)).status == 503
