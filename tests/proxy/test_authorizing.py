"""Credentials of each request: put on last, renewed once where they are refused, an error where there are none."""

import asyncio

import msgspec
import pytest

from llmproxy.errors import GatewayError
from llmproxy.plugin import ConfigError, Plugin, Secret, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, running_route


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the test's tokens behave."""

    secret: Secret = Secret("none")
    fails: str = ""
    renews: bool = True


class Tickets:
    """Gives each request a ticket of its own; whoever is refused gets the next."""

    def __init__(self, config, options):
        if options.fails == "config":
            raise ConfigError("fails", "may not be that")
        self.options, self.count = options, 0
        self.base_url = config.base_url

    async def authorize(self, url, request):
        if self.options.fails == "late":
            await asyncio.sleep(60)
        if self.options.fails:
            raise OSError("the ticket office is closed")
        self.count += 1
        request.headers.set("Authorization", f"Ticket {self.options.secret.reveal()}-{self.count}")
        request.headers.set("X-Signed", f"{request.method} {url.removeprefix(self.base_url)}")

    async def renew(self, refused):
        return self.options.renews


class TicketPlugin(Plugin):
    """Offers them, and changes each request before they are put on it."""

    @hookimpl
    def register(self, registry):
        registry.authorizer("tickets", Tickets, Options)

    @hookimpl
    async def transform_request(self, exchange, request):
        request.target = request.target.replace("/old", "/new")


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


def serving(api, auth="tickets", **upstream):
    section = {"base_url": api.url, "dialect": "http", "proxy": None, "auth": auth, **upstream}
    config = {
        "upstreams": {"signed": section},
        "routes": [{"name": "test", "upstream": "signed", "plugins": ["tickets"]}],
    }
    return running_route({"tickets": {"use": TicketPlugin}}, config=config, environ={"KEY": "s3cret"})


async def served(route, **how):
    served = await route.serve(make_exchange(**how))
    return served.reply


async def test_each_request_is_authorized_as_it_leaves_after_all_that_changes_it(api):
    api.reply(json={})
    async with serving(api) as route:
        await served(route, path="/old/path", headers={"Authorization": "Bearer the-caller's"})
        await served(route, path="/b")

    first, second = api.requests
    assert first.header("authorization") == "Ticket none-1"
    assert second.header("authorization") == "Ticket none-2"
    assert first.header("x-signed") == "POST /new/path"


async def test_options_are_read_strictly_and_their_secrets_by_reference(api):
    api.reply(json={})
    async with serving(api, {"tickets": {"secret": "${env:KEY}"}}) as route:
        await served(route)

    assert api.requests[0].header("authorization") == "Ticket s3cret-1"


async def test_refused_credentials_are_renewed_once_and_the_request_is_sent_again_whole(api):
    api.reply(401, json={}).reply(json={"well": True})
    async with serving(api) as route:
        reply = await served(route, method="POST", body=b'{"a": 1}')

    assert reply.status == 200
    assert [each.header("authorization") for each in api.requests] == ["Ticket none-1", "Ticket none-2"]
    assert [each.body for each in api.requests] == [b'{"a": 1}'] * 2


async def test_who_is_refused_twice_is_told_so(api):
    api.reply(403, json={"error": "no"})
    async with serving(api) as route:
        reply = await served(route)

    assert reply.status == 403
    assert len(api.requests) == 2


async def test_credentials_that_cannot_be_renewed_are_tried_once(api):
    api.reply(401, json={})
    async with serving(api, {"tickets": {"renews": False}}) as route:
        reply = await served(route)

    assert reply.status == 401
    assert len(api.requests) == 1


async def test_other_refusals_are_passed_on_at_once(api):
    api.reply(429, json={})
    async with serving(api) as route:
        reply = await served(route)

    assert reply.status == 429
    assert len(api.requests) == 1


async def test_without_credentials_nothing_is_sent_and_nothing_of_the_reason_is_told(api):
    async with serving(api, {"tickets": {"fails": "now"}}) as route:
        reply = await served(route)

    assert reply.status == 502
    assert b"no credentials" in reply.body
    assert b"ticket office" not in reply.body
    assert api.requests == []


async def test_credentials_have_the_time_that_connecting_has(api):
    async with serving(api, {"tickets": {"fails": "late"}}, timeouts={"connect": "50ms"}) as route:
        reply = await served(route)

    assert reply.status == 504
    assert api.requests == []


async def test_an_error_of_the_gateways_own_is_passed_on_as_it_is(api, monkeypatch):
    async def refuse(self, url, request):
        raise GatewayError(503, "not_now", "Later.")

    monkeypatch.setattr(Tickets, "authorize", refuse)
    async with serving(api) as route:
        reply = await served(route)

    assert reply.status == 503
