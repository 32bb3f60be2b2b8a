from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import (
    ANONYMOUS,
    Caller,
    ClientRequest,
    Exchange,
    GatewayError,
    Headers,
    Secret,
    StartError,
    keep_ticket,
)
from llmproxy.stores.memory import MemoryStore
from llmproxy.testing import PluginContract
from llmproxy_access import AccessPlugin
from llmproxy_access.config import AccessConfig, AccessRoute, Key
from llmproxy_access.permissions import Grant, NameList

CANARY = "canary-0123456789abcdef"
OTHER = "another-0123456789abcdef"
KEYS = (
    Key(name="web", tenant="shop", key=Secret(CANARY)),
    Key(name="batch", tenant="reports", key=Secret(OTHER)),
)


class TestContract(PluginContract):
    plugin_class = AccessPlugin
    config: ClassVar[dict[str, Any]] = {"keys": [{"name": "web", "tenant": "shop", "key": "${env:KEY}"}]}
    route: ClassVar[dict[str, Any]] = {"tenants": ["shop"]}
    environ: ClassVar[dict[str, str]] = {"KEY": CANARY}
    headers: ClassVar[dict[str, str]] = {"Authorization": f"Bearer {CANARY}"}


class Log:
    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append((event, fields))


@pytest.fixture
def plugin() -> AccessPlugin:
    return AccessPlugin("access", AccessConfig(keys=KEYS))


def exchange_with(*headers: tuple[str, str], tenants: tuple[str, ...] | None = None) -> Exchange:
    route: Any = SimpleNamespace(name="chat", options={"access": AccessRoute(tenants)})
    return Exchange(ClientRequest("POST", "/v1/x", Headers.of(headers)), route, "test", 0.0)


async def refused(plugin: AccessPlugin, exchange: Exchange) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await plugin.pre_route(exchange)
    return caught.value


@pytest.mark.parametrize(
    ("header", "value", "caller"),
    [
        ("Authorization", f"Bearer {CANARY}", Caller("shop", "web")),
        ("x-api-key", OTHER, Caller("reports", "batch")),
    ],
)
async def test_a_known_key_says_who_calls(
    plugin: AccessPlugin, header: str, value: str, caller: Caller
) -> None:
    exchange = exchange_with((header, value))

    assert await plugin.pre_route(exchange) is None
    assert exchange.caller == caller


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", f"Bearer {CANARY}x")],
        [("Authorization", f"Digest {CANARY}")],
        [("Authorization", f"Bearer {CANARY}"), ("api-key", OTHER)],
        [("x-api-key", CANARY.upper())],
    ],
    ids=["none", "unknown", "odd scheme", "two", "other case"],
)
async def test_anybody_else_is_refused_without_a_word_of_the_key(
    plugin: AccessPlugin, headers: list[tuple[str, str]]
) -> None:
    exchange = exchange_with(*headers)
    error = await refused(plugin, exchange)

    assert (error.status, error.code) == (401, "invalid_api_key")
    assert exchange.caller is ANONYMOUS
    shown = f"{error!r} {error.__cause__!r} {error.args}".lower()
    assert "canary" not in shown
    assert "another" not in shown


async def test_who_goes_on_with_an_upload_needs_no_key(plugin: AccessPlugin) -> None:
    store, caller = MemoryStore(), Caller("shop", "web", (("team", "a"),))

    async def open_memory() -> MemoryStore:
        return store

    begun, going_on, another = (exchange_with() for _ in range(3))
    for exchange, shown in ((begun, ""), (going_on, "an-upload-that-nobody-guesses"), (another, "x" * 30)):
        exchange.route.open_memory = open_memory  # type: ignore[assignment]
        exchange.client_face = SimpleNamespace(ticket=lambda _, shown=shown: shown)  # type: ignore[assignment]
    begun.caller = caller
    await keep_ticket(begun, "an-upload-that-nobody-guesses")

    await plugin.pre_route(going_on)
    assert going_on.caller == caller
    assert (await refused(plugin, another)).status == 401


@pytest.mark.parametrize(("name", "status"), [("web", 0), ("new", 0), ("gone", 401)])
async def test_an_upload_goes_on_while_its_key_is_good(plugin: AccessPlugin, name: str, status: int) -> None:
    store, shown = MemoryStore(), "an-upload-that-nobody-guesses"

    async def open_memory() -> MemoryStore:
        return store

    begun, going_on = exchange_with(), exchange_with()
    for exchange in (begun, going_on):
        exchange.route.open_memory = open_memory  # type: ignore[assignment]
        exchange.client_face = SimpleNamespace(ticket=lambda _: shown)  # type: ignore[assignment]
    begun.caller = Caller("shop", name)
    await keep_ticket(begun, shown)
    directory = SimpleNamespace(holds=lambda caller: caller == Caller("shop", "new"))
    plugin._keeper = SimpleNamespace(directory=directory, is_late=lambda now: False)  # type: ignore[assignment]

    if status:
        assert (await refused(plugin, going_on)).status == status
    else:
        await plugin.pre_route(going_on)
        assert going_on.caller == begun.caller


async def test_a_route_may_name_its_tenants(plugin: AccessPlugin) -> None:
    allowed = exchange_with(("x-api-key", CANARY), tenants=("shop", "x"))
    forbidden = exchange_with(("x-api-key", OTHER), tenants=("shop",))

    assert await plugin.pre_route(allowed) is None
    error = await refused(plugin, forbidden)
    assert (error.status, error.code) == (403, "tenant_not_allowed")


async def test_a_child_is_its_parents_callers_and_meets_the_same_tenants(plugin: AccessPlugin) -> None:
    parent, child = exchange_with(("x-api-key", CANARY)), exchange_with(tenants=("shop",))
    abroad = exchange_with(tenants=("reports",))
    await plugin.pre_route(parent)
    child.parent = abroad.parent = parent
    child.caller = abroad.caller = parent.caller

    assert await plugin.pre_route(child) is None
    assert child.caller == Caller("shop", "web")
    assert (await refused(plugin, abroad)).code == "tenant_not_allowed"


async def test_a_child_of_nobody_in_particular_needs_a_key(plugin: AccessPlugin) -> None:
    child = exchange_with()
    child.parent = exchange_with()

    assert (await refused(plugin, child)).code == "invalid_api_key"


async def test_open_asks_nobody() -> None:
    exchange = exchange_with(("x-api-key", "whatever"))

    assert await AccessPlugin("access", AccessConfig(mode="open")).pre_route(exchange) is None
    assert exchange.caller is ANONYMOUS


async def test_open_serves_no_web_page_of_another_machine() -> None:
    plugin = AccessPlugin("access", AccessConfig(mode="open"))
    foreign = exchange_with(("Origin", "https://evil.example"))
    own = exchange_with(("Origin", "http://localhost:3000"))

    assert await plugin.pre_route(own) is None
    assert (await refused(plugin, foreign)).code == "foreign_origin"


async def test_keys_let_any_page_in_that_has_one(plugin: AccessPlugin) -> None:
    page = exchange_with(("x-api-key", CANARY), ("Origin", "https://app.example"))

    assert await plugin.pre_route(page) is None


async def test_open_starts_on_local_listeners_and_says_so() -> None:
    log = Log()
    runtime: Any = SimpleNamespace(listeners=("127.0.0.1:80", "unix:/x"), log=log)

    async with AccessPlugin("access", AccessConfig(mode="open")).lifespan(runtime):
        pass

    assert [event for event, _ in log.warnings] == ["access_open"]


async def test_open_refuses_to_start_where_others_can_reach() -> None:
    runtime: Any = SimpleNamespace(listeners=("127.0.0.1:80", "0.0.0.0:80"), log=Log())
    lifespan = AccessPlugin("access", AccessConfig(mode="open")).lifespan(runtime)

    with pytest.raises(StartError, match=r"'access': .*not '0\.0\.0\.0:80'"):
        await lifespan.__aenter__()


async def test_keys_start_anywhere_without_a_warning(plugin: AccessPlugin) -> None:
    log = Log()
    runtime: Any = SimpleNamespace(listeners=("0.0.0.0:80",), log=log)

    async with plugin.lifespan(runtime):
        pass

    assert log.warnings == []


def granted(**lists: tuple[NameList, ...]) -> Any:
    """Return what finds one grant, whatever the key."""
    return SimpleNamespace(
        is_late=lambda now: False, find=lambda key, now: Grant(Caller("shop", "made"), **lists)
    )


async def test_a_key_of_the_database_is_let_in_beside_those_of_the_configuration(
    plugin: AccessPlugin,
) -> None:
    exchange = exchange_with(("x-api-key", "llmp-whatever"))
    plugin._keeper = granted()

    assert await plugin.pre_route(exchange) is None
    assert exchange.caller == Caller("shop", "made")
    assert exchange.may_ask is None
    keeper: Any = SimpleNamespace(is_late=lambda now: False, find=lambda key, now: None)
    plugin._keeper = keeper
    other = exchange_with(("x-api-key", CANARY))
    assert await plugin.pre_route(other) is None
    assert other.caller.key == "web"


async def test_a_key_may_use_its_routes_and_models_alone(plugin: AccessPlugin) -> None:
    plugin._keeper = granted(models=(NameList(["fast"]),), routes=(NameList(["chat"]),))
    exchange, other = exchange_with(("x-api-key", "k")), exchange_with(("x-api-key", "k"))
    exchange.route.name, other.route.name = "chat", "other"

    assert await plugin.pre_route(exchange) is None
    assert exchange.may_ask is not None
    assert [exchange.may_ask("fast"), exchange.may_ask("slow")] == [True, False]
    assert (await refused(plugin, other)).code == "route_not_allowed"


async def test_a_child_is_held_to_its_parents_routes(plugin: AccessPlugin) -> None:
    plugin._keeper = granted(routes=(NameList(["chat"]),))
    parent, child = exchange_with(("x-api-key", "k")), exchange_with()
    parent.route.name, child.route.name = "chat", "other"
    await plugin.pre_route(parent)
    child.parent, child.caller = parent, parent.caller

    assert (await refused(plugin, child)).code == "route_not_allowed"


async def test_a_token_is_let_in_beside_keys_and_held_to_what_it_grants(plugin: AccessPlugin) -> None:
    async def find(token: bytes, directory: object) -> Grant | None:
        return Grant(Caller("acme", "corp"), (NameList(["fast"]),)) if token == b"token" else None

    plugin._issuers = SimpleNamespace(find=find)  # type: ignore[assignment]  # all that is asked
    with_token, with_key, unknown = (
        exchange_with(("Authorization", f"Bearer {word}")) for word in ("token", CANARY, "other")
    )

    assert await plugin.pre_route(with_token) is None
    assert (with_token.caller, with_token.may_ask is None) == (Caller("acme", "corp"), False)
    assert await plugin.pre_route(with_key) is None
    assert with_key.caller.key == "web"
    assert (await refused(plugin, unknown)).code == "invalid_api_key"


class TestContractWithDatabase(PluginContract):
    plugin_class = AccessPlugin
    config: ClassVar[dict[str, Any]] = {
        "keys": [{"name": "web", "tenant": "shop", "key": "${env:KEY}"}],
        "database": {"pepper": "${env:PEPPER}"},
    }
    environ: ClassVar[dict[str, str]] = {"KEY": CANARY, "PEPPER": OTHER * 2}
    headers: ClassVar[dict[str, str]] = {"Authorization": f"Bearer {CANARY}"}

    @pytest.fixture(autouse=True)
    def _somewhere(self, tmp_path: Path) -> None:
        self.config["database"]["path"] = str(tmp_path / "access.db")


def test_no_two_keys_have_one_name(plugin: AccessPlugin) -> None:
    with pytest.raises(StartError, match="a key 'web' too"):
        plugin._refuse_twins(frozenset({"web", "other"}))


def test_a_plugin_shows_no_key(plugin: AccessPlugin) -> None:
    assert CANARY not in repr(plugin) + repr(plugin.config) + repr(vars(plugin))
