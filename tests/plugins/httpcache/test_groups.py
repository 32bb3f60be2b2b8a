from __future__ import annotations

import pytest

from llmproxy_httpcache.groups import LONGEST, MOST, groups_of


def test_as_many_groups_as_the_standard_wants_are_taken() -> None:
    names = [f"{number:032}" for number in range(32)]

    assert groups_of(", ".join(f'"{name}"' for name in names).encode()) == tuple(names)


def test_groups_are_bounded() -> None:
    assert len(groups_of(b", ".join(b'"%d"' % number for number in range(1000)))) == MOST
    assert groups_of(b'"%b"' % (b"x" * (LONGEST + 1))) == ()


@pytest.mark.parametrize("text", [None, b"", b"a, b", b'"a", b', b'"a', b'"a" "b"', b'"a", 1'])
def test_what_is_no_list_of_strings_names_no_group(text: bytes | None) -> None:
    assert groups_of(text) == ()
