"""What manages keys over the admin listener."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
import orjson

from llmproxy.plugin import AdminRequest, GatewayError, PostgresAway, Registry, Reply, parse_duration
from llmproxy_access.database import Database
from llmproxy_access.keeping import DirectoryKeeper
from llmproxy_access.records import KINDS, AccountKind, AccountOrder, KeyOrder, OrderRefused

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

#: Members that may be written as a duration with a unit.
_DURATIONS: Final = ("lifetime", "overlap")


class RotationOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what a key had still works, and for how long its new secret does; seconds, or text with a unit."""

    overlap: float = 86400.0
    lifetime: float | None = None


class KeyDesk:
    """Answers the admin routes; `keeper` gives what keeps the directory, `taken` are the configuration's own names."""

    def __init__(self, keeper: Callable[[], DirectoryKeeper], taken: Set[str]) -> None:
        self._keeper = keeper
        self._taken = frozenset(taken)

    def register(self, registry: Registry) -> None:
        """Offer all routes."""
        read, write = partial(_offer, registry, "read"), partial(_offer, registry, "write")
        read("GET", "/access/keys", self._list)
        write("POST", "/access/keys", self._create)
        read("GET", "/access/keys/{name}", self._show)
        write("POST", "/access/keys/{name}/rotate", self._rotate)
        write("POST", "/access/keys/{name}/revoke", self._revoke)
        for kind in KINDS:
            read("GET", f"/access/{kind}s", partial(self._accounts, kind))
            write("PUT", f"/access/{kind}s/{{name}}", partial(self._put, kind))
            write("DELETE", f"/access/{kind}s/{{name}}", partial(self._drop, kind))

    async def _list(self, request: AdminRequest) -> Reply:
        keeper = self._keeper()
        contents, now = await keeper.look(Database.read), keeper.wall()
        return Reply.json({"keys": [key.told(now) for key in contents.keys]})

    async def _show(self, request: AdminRequest) -> Reply:
        keeper = self._keeper()
        key = await keeper.look(lambda database: database.key(request.params["name"]))
        return Reply.json(key.told(keeper.wall()))

    async def _create(self, request: AdminRequest) -> Reply:
        order = read_order(request.body, KeyOrder)
        if order.name in self._taken:
            raise OrderRefused(409, "name_taken", f"The configuration has a key {order.name!r} already.")
        keeper = self._keeper()
        issued, missing = await keeper.change(lambda database: database.create(order))
        keeper.note("access_key_created", key=order.name, id=issued.id)
        told = {
            "name": order.name,
            "id": issued.id,
            "key": issued.key,
            "expires": issued.expires,
            **_unaware(missing),
        }
        return Reply.json(told, HTTPStatus.CREATED)

    async def _rotate(self, request: AdminRequest) -> Reply:
        name, order = request.params["name"], read_order(request.body or b"{}", RotationOrder)
        keeper = self._keeper()
        issued, missing = await keeper.change(
            lambda database: database.rotate(name, order.overlap, order.lifetime)
        )
        keeper.note("access_key_rotated", key=name, id=issued.id)
        return Reply.json(
            {"name": name, "id": issued.id, "key": issued.key, "expires": issued.expires, **_unaware(missing)}
        )

    async def _revoke(self, request: AdminRequest) -> Reply:
        named = request.params["name"]
        keeper = self._keeper()
        name, missing = await keeper.change(lambda database: database.revoke(named))
        keeper.note("access_key_revoked", key=name)
        return Reply.json({"name": name, "revoked": named, **_unaware(missing)})

    async def _accounts(self, kind: AccountKind, request: AdminRequest) -> Reply:
        contents = await self._keeper().look(Database.read)
        found = [msgspec.to_builtins(account) for account in contents.accounts if account.kind == kind]
        return Reply.json({f"{kind}s": found})

    async def _put(self, kind: AccountKind, request: AdminRequest) -> Reply:
        name, order = request.params["name"], read_order(request.body or b"{}", AccountOrder)
        _, missing = await self._keeper().change(lambda database: database.put(kind, name, order))
        return Reply.json({"kind": kind, "name": name, **_unaware(missing)})

    async def _drop(self, kind: AccountKind, request: AdminRequest) -> Reply:
        name = request.params["name"]
        _, missing = await self._keeper().change(lambda database: database.drop(kind, name))
        return Reply.json({"kind": kind, "name": name, **_unaware(missing)})


def read_order(body: bytes, kind: type[S]) -> S:
    """Read what is asked for.

    Raises:
        OrderRefused: it is not what it should be; by the member that is wrong.
    """
    try:
        told = orjson.loads(body)
        if isinstance(told, dict):
            durations = {
                name: parse_duration(told[name]) for name in _DURATIONS if told.get(name) is not None
            }
            told |= durations
        return msgspec.convert(told, kind)
    except orjson.JSONDecodeError:
        raise OrderRefused(400, "bad_json", "The body is no JSON.") from None
    except (msgspec.ValidationError, ValueError) as fault:
        raise OrderRefused(400, "bad_order", str(fault)) from None


def _offer(
    registry: Registry, permission: str, method: str, path: str, answer: Callable[[AdminRequest], Any]
) -> None:
    async def answered(request: AdminRequest) -> Reply:
        try:
            reply: Reply = await answer(request)
        except OrderRefused as refused:
            raise GatewayError(refused.status, refused.code, str(refused)) from None
        except PostgresAway:
            message = "The database cannot be used now; what was asked for may have been done."
            raise GatewayError(503, "database_away", message, retry_after=5) from None
        return reply

    registry.admin_route(method, path, answered, permission=permission)


def _unaware(missing: list[str]) -> dict[str, Any]:
    """Tell of workers that did not answer: they look for themselves within a second."""
    return {"workers_unaware": missing} if missing else {}
