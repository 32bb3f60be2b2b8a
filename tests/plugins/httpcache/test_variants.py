from __future__ import annotations

import msgspec
import pytest

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.variants import (
    MOST_SETS,
    MOST_VARIANTS,
    Index,
    Variant,
    pack_index,
    unpack_index,
    variant_of,
)


def test_the_latest_of_a_bounded_number_are_kept() -> None:
    index = Index()
    for number in range(MOST_VARIANTS + 5):
        index = index.with_variant((b"a%d" % number,), Variant(b"%d" % number, b'"%d"' % number))

    assert (len(index.variants), len(index.names)) == (MOST_VARIANTS, MOST_SETS)
    assert index.variants[0].selection == b"%d" % (MOST_VARIANTS + 4)
    assert index.etags[0] == b'"%d"' % (MOST_VARIANTS + 4)


def test_a_variant_takes_the_place_of_its_older_self() -> None:
    index = Index().with_variant((b"a",), Variant(b"x", b'"1"')).with_variant((b"a",), Variant(b"x", b'"2"'))

    assert index.variants == (Variant(b"x", b'"2"'),)
    assert index.names == ((b"a",),)
    assert index.by_etag(b'"2"') == b"x"
    assert index.by_etag(b'"1"') is None


def test_a_language_is_found_where_all_else_is_the_same() -> None:
    names = (b"accept-language", b"foo")
    request = Fields([(b"Accept-Language", b"en, de"), (b"Foo", b"1")])
    index = Index().with_variant(
        names, variant_of(names, request, Fields([(b"Content-Language", b"DE")]), b"")
    )

    assert index.by_language(Fields([(b"Accept-Language", b"fr;q=0.5, de"), (b"Foo", b"1")])) is not None
    assert index.by_language(Fields([(b"Accept-Language", b"fr;q=0.5, de"), (b"Foo", b"2")])) is None
    assert index.by_language(Fields([(b"Accept-Language", b"fr, de;q=0.5"), (b"Foo", b"1")])) is None


def test_an_index_is_stored_and_read() -> None:
    index = Index(((b"a",),), (Variant(b"s", b"e"),), part=True)

    assert unpack_index(pack_index(index)) == index
    assert Index().with_part().part
    with pytest.raises(msgspec.MsgspecError):
        unpack_index(b"x")
