from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llmproxy.plugin import AdminRequest, ClientRequest, GatewayError, Headers
from llmproxy_access.adminapi import KeyDesk, read_order
from llmproxy_access.database import Database
from llmproxy_access.records import KeyOrder, OrderRefused

from .conftest import Wall


class Routes:
    """Takes what is registered, and asks it."""

    def __init__(self) -> None:
        self.handlers: dict[tuple[str, str], Any] = {}
        self.permissions: dict[tuple[str, str], str] = {}
        self.noted: list[tuple[str, dict[str, str]]] = []

    def admin_route(self, method: str, path: str, handler: Any, *, permission: str) -> None:
        self.handlers[method, path] = handler
        self.permissions[method, path] = permission

    async def ask(self, method: str, path: str, body: object = None, **params: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        request = AdminRequest(ClientRequest(method, path, Headers()), params, data)
        reply = await self.handlers[method, path](request)
        return reply.status, orjson.loads(reply.body)


@pytest.fixture
def routes(database: Database, wall: Wall) -> Routes:
    """Make the routes of a desk over a database that is asked on the spot; one worker never answers."""

    async def look(work: Callable[[Database], Any]) -> Any:
        return work(database)

    async def change(work: Callable[[Database], Any]) -> tuple[Any, list[str]]:
        return work(database), ["1"]

    routes: Any = Routes()

    def note(event: str, **fields: str) -> None:
        routes.noted.append((event, fields))

    keeper: Any = SimpleNamespace(look=look, change=change, wall=wall, note=note)
    KeyDesk(lambda: keeper, {"own"}).register(routes)
    made: Routes = routes
    return made


async def test_a_key_is_made_shown_rotated_and_revoked(routes: Routes) -> None:
    status, made = await routes.ask(
        "POST", "/access/keys", {"name": "web", "tenant": "shop", "lifetime": "90d"}
    )
    _, shown = await routes.ask("GET", "/access/keys/{name}", name="web")
    _, rotated = await routes.ask("POST", "/access/keys/{name}/rotate", {"overlap": "1h"}, name="web")
    _, revoked = await routes.ask("POST", "/access/keys/{name}/revoke", name=made["id"])
    _, listed = await routes.ask("GET", "/access/keys")

    assert status == 201
    assert made["key"].startswith(f"llmp-{made['id']}-")
    assert made["workers_unaware"] == ["1"]
    assert (shown["tenant"], shown["state"], shown["secrets"][0]["id"]) == ("shop", "live", made["id"])
    assert revoked == {"name": "web", "revoked": made["id"], "workers_unaware": ["1"]}
    states = {secret["id"]: secret["state"] for secret in listed["keys"][0]["secrets"]}
    assert states == {made["id"]: "revoked", rotated["id"]: "live"}
    assert routes.noted == [
        ("access_key_created", {"key": "web", "id": made["id"]}),
        ("access_key_rotated", {"key": "web", "id": rotated["id"]}),
        ("access_key_revoked", {"key": "web"}),
    ]
    assert made["key"].rpartition("-")[2] not in f"{shown} {rotated} {revoked} {listed} {routes.noted}"


async def test_accounts_are_put_shown_and_dropped(routes: Routes) -> None:
    await routes.ask("PUT", "/access/orgs/{name}", {"tenant": "shop"}, name="acme")
    await routes.ask("PUT", "/access/teams/{name}", {"org": "acme", "models": ["gpt-*"]}, name="search")
    _, teams = await routes.ask("GET", "/access/teams")
    await routes.ask("DELETE", "/access/teams/{name}", name="search")
    _, after = await routes.ask("GET", "/access/teams")

    assert [(team["name"], team["tenant"], team["models"]) for team in teams["teams"]] == [
        ("search", "shop", ["gpt-*"])
    ]
    assert after == {"teams": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no json", 400, "bad_json"),
        (b"[]", 400, "bad_order"),
        ({}, 400, "bad_order"),
        ({"name": "web", "tenant": "shop", "modles": []}, 400, "bad_order"),
        ({"name": "web", "tenant": "shop", "lifetime": "soon"}, 400, "bad_order"),
        ({"name": "web", "tenant": "shop", "models": []}, 400, "bad_list"),
        ({"name": "own", "tenant": "shop"}, 409, "name_taken"),
        ({"name": "web", "team": "nobody"}, 404, "no_such_account"),
    ],
)
async def test_what_cannot_be_made_is_refused(routes: Routes, body: object, status: int, code: str) -> None:
    with pytest.raises(GatewayError) as caught:
        await routes.ask("POST", "/access/keys", body)

    assert (caught.value.status, caught.value.code) == (status, code)


def test_who_may_read_may_not_change(routes: Routes) -> None:
    assert {
        key: said for key, said in routes.permissions.items() if (said == "read") != (key[0] == "GET")
    } == {}


def test_an_order_is_read_strictly() -> None:
    assert read_order(b'{"name": "web", "lifetime": "1m30s"}', KeyOrder).lifetime == 90.0
    with pytest.raises(OrderRefused, match="nmae"):
        read_order(b'{"nmae": "web"}', KeyOrder)
