from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_access.issuing import Pepper, public_id

PEPPER = Pepper("pepper-0123456789abcdef-0123456789")


def test_a_key_has_an_id_and_256_random_bits() -> None:
    issued = PEPPER.issue()

    assert re.fullmatch(rf"llmp-{issued.id}-[A-Za-z0-9]{{43}}", issued.key)
    assert public_id(issued.key.encode()) == issued.id
    assert PEPPER.digest(issued.key.encode()) == issued.digest


def test_keys_and_their_ids_differ() -> None:
    made = [PEPPER.issue() for _ in range(100)]

    assert len({each.id for each in made}) == len({each.key for each in made}) == 100


def test_another_pepper_makes_another_digest_and_mark() -> None:
    other = Pepper("pepper-0123456789abcdef-9876543210")

    assert other.digest(b"key") != PEPPER.digest(b"key")
    assert other.mark != PEPPER.mark


def test_nothing_secret_is_shown() -> None:
    issued = PEPPER.issue()

    assert "pepper-" not in repr(PEPPER)
    assert issued.key not in repr(issued)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"sk-123",
        b"llmp-",
        b"llmp-abcdefghijkl-" + b"x" * 42,
        b"llmp-abcdefghijkl-" + b"x" * 42 + b"-",
        b"llmp-abcdefghijk-" + b"x" * 43,
        b"LLMP-abcdefghijkl-" + b"x" * 43,
        b"llmp-abcdefghijkl-" + b"\xff" * 43,
    ],
)
def test_what_has_another_shape_has_no_id(key: bytes) -> None:
    assert public_id(key) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_looked_at_without_a_fault(key: bytes) -> None:
    public_id(key)
    public_id(b"llmp-" + key)
