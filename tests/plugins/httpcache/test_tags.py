from __future__ import annotations

import pytest

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.tags import MOST, groups_of, tags_of


def test_tags_come_from_all_fields_that_carry_them() -> None:
    fields = Fields(
        [
            (b"Surrogate-Key", b"a b"),
            (b"Surrogate-Key", b"c"),
            (b"xkey", b"d,e"),
            (b"Cache-Tag", b"two words, f"),
            (b"Edge-Cache-Tag", b"a"),
        ]
    )

    assert tags_of(fields) == ("a", "b", "c", "d", "e", "two words", "f")


def test_tags_are_bounded() -> None:
    many = b" ".join(b"%d" % number for number in range(1000))

    assert len(tags_of(Fields([(b"xkey", many)]))) == MOST
    assert tags_of(Fields([(b"xkey", b"x" * 2000)])) == ()


def test_as_many_groups_as_the_standard_wants_are_taken() -> None:
    names = [f"{number:032}" for number in range(32)]

    assert groups_of(", ".join(f'"{name}"' for name in names).encode()) == tuple(names)


@pytest.mark.parametrize("text", [None, b"", b"a, b", b'"a", b', b'"a', b'"a" "b"', b'"a", 1'])
def test_what_is_no_list_of_strings_names_no_group(text: bytes | None) -> None:
    assert groups_of(text) == ()
