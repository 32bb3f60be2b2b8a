from __future__ import annotations

import threading

import pytest

from llmproxy_rewrite.changes import AT_ONCE, Change, changed, defaulting, removing, renaming, setting
from llmproxy_rewrite.templates import Shape

AT = ("user",)


@pytest.mark.parametrize(
    ("change", "body", "value", "result"),
    [
        (setting(AT, Shape("{caller.key}")), b'{"user":"eve"}', "web", b'{"user":"web"}'),
        (setting(AT, Shape("{caller.key}")), b'{"user":"eve"}', None, b"{}"),
        (defaulting(AT, Shape({"id": "{caller.key}"})), b"{}", "web", b'{"user":{"id":"web"}}'),
        (defaulting(AT, Shape("{caller.key}")), b'{"user":"eve"}', "web", b'{"user":"eve"}'),
        (defaulting(AT, Shape("{caller.key}")), b"{}", None, b"{}"),
        (removing(AT), b'{"user":1}', None, b"{}"),
        (renaming(AT, "who"), b'{"user":1}', None, b'{"who":1}'),
    ],
)
def test_a_change_is_made(change: Change, body: bytes, value: str | None, result: bytes) -> None:
    assert change(body, lambda kind, name: value) == result


def test_a_value_of_the_request_stays_a_string() -> None:
    change = setting(AT, Shape("{header.x}"))

    assert (
        change(b"{}", lambda kind, name: '","admin":true,"x":"')
        == b'{"user":"\\",\\"admin\\":true,\\"x\\":\\""}'
    )


async def test_a_large_body_is_changed_in_a_thread_so_that_others_are_served() -> None:
    threads: list[int] = []

    def note(body: bytes, lookup: object) -> bytes:
        threads.append(threading.get_ident())
        return body + b"x"

    small, large = b"a" * AT_ONCE, b"a" * (AT_ONCE + 1)
    here = threading.get_ident()

    assert await changed([note, note], small, lambda kind, name: None) == small + b"xx"
    assert await changed([note], large, lambda kind, name: None) == large + b"x"
    assert [each == here for each in threads] == [True, True, False]
