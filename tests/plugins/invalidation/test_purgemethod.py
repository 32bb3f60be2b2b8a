import pytest

from llmproxy.caches import Purge, entry_slots, field_tags
from llmproxy.plugin import BadRequest, Caller, GatewayError, Headers
from llmproxy.testing import make_exchange
from llmproxy_invalidation.config import PurgeMethod
from llmproxy_invalidation.purgemethod import Permission, order_of

PERMISSION = Permission(PurgeMethod(networks=("127.0.0.0/8", "::1/128"), keys=("ci",)))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_a_caller_of_the_networks_purges_for_everybody(client: str) -> None:
    assert PERMISSION.tenant_of(make_exchange("PURGE", "/", client=client)) is None


def test_a_holder_of_the_keys_purges_for_his_tenant() -> None:
    exchange = make_exchange("PURGE", "/", client="10.0.0.1", caller=Caller("shop", "ci"))

    assert PERMISSION.tenant_of(exchange) == "shop"


@pytest.mark.parametrize("caller", [Caller("shop", "web"), Caller("shop"), Caller("ci", "")])
@pytest.mark.parametrize("client", ["10.0.0.1", "", "unix", "::2"])
def test_nobody_else_purges(client: str, caller: Caller) -> None:
    with pytest.raises(GatewayError) as caught:
        PERMISSION.tenant_of(make_exchange("PURGE", "/", client=client, caller=caller))

    assert caught.value.status == 403


def test_a_purge_is_of_its_target() -> None:
    order = order_of(make_exchange("PURGE", "/a/b?c=d"), "t")

    assert order.purges == (Purge("url", ("/a/b?c=d",), "t"),)


def test_or_of_the_tags_that_it_names_and_may_be_soft() -> None:
    headers = {"xkey": "a b,a", "Fastly-Soft-Purge": "1"}

    assert order_of(make_exchange("PURGE", "/", headers=headers), None).purges == (
        Purge("tag", ("a", "b"), None, soft=True),
    )


def test_a_tag_is_the_one_that_an_upstream_names_in_the_same_bytes() -> None:
    told = "größe".encode().decode("latin-1")
    tags = field_tags(Headers([(b"xkey", told.encode("latin-1"))]))
    order = order_of(make_exchange("PURGE", "/", headers={"xkey": told}), "t")

    assert set(order.slots(soft=False)) & set(entry_slots(tenant="t", route="r", tags=tags))


def test_one_request_names_no_more_tags_than_one_order() -> None:
    headers = {"xkey": " ".join(f"t{number}" for number in range(1025))}

    with pytest.raises(BadRequest):
        order_of(make_exchange("PURGE", "/", headers=headers), "t")


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(BadRequest):
        order_of(make_exchange("PURGE", "*"), "t")
