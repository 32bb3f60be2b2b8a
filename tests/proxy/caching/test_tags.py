from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.tags import LONGEST, MOST_TAGS, Kind, entry_slots, field_tags, key_name, tag_slots
from llmproxy.messages import Headers

ABOUT: dict[str, Any] = {
    "tenant": "shop",
    "route": "api",
    "model": "fast",
    "key": b"k1",
    "url": "http://Shop.test/products/1?lang=de",
    "tags": ["products", "product:1"],
    "groups": ["catalogue"],
    "template": "greeting@3",
    "documents": ["doc-1", "doc-2"],
}


def purges(kind: Kind, value: str, slots: Iterable[int], tenant: str | None = None) -> bool:
    return not set(tag_slots(kind, value, tenant=tenant)).isdisjoint(slots)


PURGING: list[tuple[Kind, str]] = [
    ("all", ""),
    ("route", "api"),
    ("model", "fast"),
    ("template", "greeting@3"),
    ("document", "doc-2"),
    ("key", key_name(b"k1")),
    ("tag", "product:1"),
    ("url", "/products/1?lang=de"),
    ("url", "http://shop.test:80/products/%31?lang=de"),
    ("prefix", "/"),
    ("prefix", "/products"),
    ("prefix", "/products/"),
    ("prefix", "/products/1"),
    ("prefix", "http://shop.test"),
    ("prefix", "http://shop.test/products/"),
]
SPARING: list[tuple[Kind, str]] = [
    ("route", "other"),
    ("model", "api"),
    ("document", "doc"),
    ("key", key_name(b"k2")),
    ("tag", "product"),
    ("tag", ""),
    ("url", "/products/1"),
    ("url", "http://other.test/products/1?lang=de"),
    ("prefix", "/prod"),
    ("prefix", "/products/1/reviews"),
    ("prefix", "http://other.test/products"),
    ("prefix", "https://shop.test/"),
    ("group", "http://other.test:80 catalogue"),
]


@pytest.mark.parametrize(("kind", "value"), PURGING)
def test_an_entry_is_purged_by_everything_that_it_is_about(kind: Kind, value: str) -> None:
    slots = entry_slots(**ABOUT)

    assert purges(kind, value, slots)
    assert purges(kind, value, slots, tenant="shop")


@pytest.mark.parametrize(("kind", "value"), PURGING)
def test_a_tenant_purges_nothing_of_another(kind: Kind, value: str) -> None:
    assert not purges(kind, value, entry_slots(**ABOUT), tenant="other")


@pytest.mark.parametrize(("kind", "value"), SPARING)
def test_an_entry_is_not_purged_by_what_it_is_not_about(kind: Kind, value: str) -> None:
    assert not purges(kind, value, entry_slots(**ABOUT))


def test_a_tenant_and_a_group_are_purged_by_name() -> None:
    slots = entry_slots(**ABOUT)

    assert purges("tenant", "shop", slots)
    assert not purges("tenant", "other", slots)
    assert purges("group", "http://shop.test:80 catalogue", slots)


def test_a_request_without_an_origin_is_purged_by_its_path() -> None:
    slots = entry_slots(tenant="t", route="r", url="/a/b")

    assert purges("prefix", "/a", slots)
    assert not purges("prefix", "http://a.test/a", slots)


def test_a_request_with_an_odd_host_is_purged_by_its_path_too() -> None:
    slots = entry_slots(tenant="t", route="r", url="http://a:b:c/a/b?c")

    assert purges("prefix", "/a", slots)
    assert purges("url", "/a/b?c", slots)


@given(st.lists(st.text(max_size=20), max_size=8), st.text(max_size=20))
def test_a_tag_purges_those_that_have_it_and_no_others(tags: list[str], tag: str) -> None:
    slots = entry_slots(tenant="t", route="r", tags=tags)

    assert purges("tag", tag, slots) == (tag in tags)


@pytest.mark.parametrize("tags", [["x" * (LONGEST + 1)], [str(n) for n in range(MOST_TAGS + 1)]])
def test_what_has_too_many_tags_to_keep_is_purged_with_any(tags: list[str]) -> None:
    slots = entry_slots(tenant="t", route="r", tags=tags)

    assert len(slots) < 2 * MOST_TAGS + 20
    assert purges("tag", "another", slots)
    assert purges("tag", "another", slots, tenant="t")
    assert not purges("tag", "another", slots, tenant="u")


def test_the_name_of_a_key_does_not_show_it() -> None:
    assert key_name(b"k1,secret") != key_name(b"k1,other")
    assert "secret" not in key_name(b"k1,secret")


def test_tags_are_read_from_the_fields_of_the_well_known_caches() -> None:
    headers = Headers.of(
        [
            ("Surrogate-Key", "products product:1"),
            ("cache-tag", "a b, c,,d"),
            ("xkey", "e f,g"),
            ("Edge-Cache-Tag", "h,products"),
            ("Other", "no"),
        ]
    )

    assert field_tags(headers) == ["products", "product:1", "a b", "c", "d", "e", "f", "g", "h"]
    assert field_tags(Headers.of({"Content-Type": "text/plain"})) == []


def test_a_tag_beyond_ascii_is_the_one_that_a_purge_names() -> None:
    headers = Headers([(b"Surrogate-Key", "größe".encode())])

    assert purges("tag", "größe", entry_slots(tenant="t", route="r", tags=field_tags(headers)))
