from __future__ import annotations

import pytest

from llmproxy.plugin import Caller
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.scoping import Scoping

COOKIE = (b"Cookie", b"a=b")


def _sharer(scoping: Scoping, caller: Caller, *credentials: RawHeader, **fields: bytes) -> tuple[bytes, ...]:
    raw = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return scoping.sharer(caller, Asked(method="GET", credentials=credentials), Fields(raw))


@pytest.mark.parametrize(("scope", "narrow"), [("tenant", False), ("public", False), ("key", True)])
def test_some_scopes_keep_the_callers_of_a_tenant_apart(scope: str, narrow: bool) -> None:
    assert Scoping(scope).narrow == narrow  # type: ignore[arg-type]


def test_keys_and_teams_are_what_access_says() -> None:
    caller = Caller("t", "app", (("region", "eu"), ("team", "red")))

    assert _sharer(Scoping("key"), caller) == (b"app",)
    assert _sharer(Scoping("team"), caller) == (b"red",)
    assert _sharer(Scoping("key"), Caller("t")) == _sharer(Scoping("team"), Caller("t")) == ()


def test_an_end_user_is_known_by_the_credentials_that_the_origin_sees() -> None:
    assert _sharer(Scoping("end-user"), Caller("t", "app"), COOKIE) == (b"cookie", b"a=b")
    assert _sharer(Scoping("end-user"), Caller("t", "app")) == ()


def test_or_by_the_header_that_the_route_names_and_then_by_nothing_else() -> None:
    scoping = Scoping("end-user", "X-User")

    assert _sharer(scoping, Caller("t"), COOKIE, X_User=b"ann") == (b"header", b"ann")
    assert _sharer(scoping, Caller("t"), COOKIE) == ()
