"""Numbers that are not what they were once they are read."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_cache.longnumbers import long_numbers


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"seed":1}', b""),
        (b'{"id":100000000000000000001}', b"100000000000000000001"),
        (
            b'{"id":-18446744073709551617,"x":[1,20000000000000000000000]}',
            b"-18446744073709551617,20000000000000000000000",
        ),
        (b'{"id":"100000000000000000001"}', b""),
        (b'{"a\\"1":"\\\\","id":100000000000000000001}', b"100000000000000000001"),
    ],
)
def test_long_numbers_are_found_outside_of_strings(body: bytes, found: bytes) -> None:
    assert long_numbers(body) == found


@given(st.integers(), st.integers())
def test_two_whole_numbers_are_never_taken_for_one(one: int, other: int) -> None:
    def told(number: int) -> tuple[bytes, bytes]:
        body = b'{"id":%d,"text":"7777777777777777777777"}' % number
        return orjson.dumps(orjson.loads(body)), long_numbers(body)

    assert (told(one) == told(other)) == (one == other)


@pytest.mark.parametrize(
    "where", [b'{"model":"m","seed":%d}', b'{"model":"m","metadata2":{"customer":[%d]}}']
)
def test_no_key_takes_one_customers_number_for_anothers(digest: Callable[..., bytes], where: bytes) -> None:
    assert digest(where % (10**20 + 1)) != digest(where % (10**20 + 2))
    assert digest(where % (10**20 + 1)) == digest(where % (10**20 + 1))
