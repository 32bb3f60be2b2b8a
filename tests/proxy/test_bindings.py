"""What a configuration asks to listen on."""

from __future__ import annotations

from llmproxy.addresses import Address
from llmproxy.bindings import ADMIN, bindings
from llmproxy.config import decode


def names(**tree: object) -> list[tuple[str, Address]]:
    config = decode(tree, environ={"WHERE": "127.0.0.1:81"}, read_file=str)
    return [(binding.name, binding.address) for binding in bindings(config)]


def test_listeners_are_named_by_their_address_and_the_admin_listener_by_its_purpose() -> None:
    found = names(listen=["127.0.0.1:80", "unix:/run/x.sock"], admin={"listen": "127.0.0.1:9000"})

    assert found == [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("unix:/run/x.sock", Address("", 0, "/run/x.sock")),
        (ADMIN, Address("127.0.0.1", 9000)),
    ]


def test_an_admin_listener_that_is_off_is_not_bound() -> None:
    assert names(listen="127.0.0.1:80", admin={"listen": "off"}) == [
        ("127.0.0.1:80", Address("127.0.0.1", 80))
    ]


def test_an_address_from_the_environment_gives_its_value_as_name() -> None:
    assert names(listen="${env:WHERE}", admin={"listen": "off"})[0][0] == "127.0.0.1:81"


def test_the_backlog_is_the_servers() -> None:
    config = decode({"server": {"backlog": 7}}, environ={}, read_file=str)

    assert bindings(config)[0].backlog == 7
