from typing import Any

import msgspec
import pytest

from llmproxy.caches import Purge, tag_slots
from llmproxy.plugin import ConfigError
from llmproxy_invalidation.writes import Write, Writes, may_have_changed, read_pattern


def writes(**told: Any) -> Writes:
    return Writes([msgspec.convert({"path": "/products/{id}", "tags": ["product:{id}"], **told}, Write)])


def tags(found: Any) -> tuple[str, ...] | None:
    return None if found is None else found.purges[0].values


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "MERGE"])
def test_a_write_purges_the_tags_of_its_path(method: str) -> None:
    change = writes(refill=["/products/{id}", "/products"]).find(method, "/products/7", "t")

    assert change is not None
    assert change.purges == [Purge("tag", ("product:7",))]
    assert change.refill == ["/products/7", "/products"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_what_changes_nothing_purges_nothing(method: str) -> None:
    assert writes().find(method, "/products/7", "t") is None


@pytest.mark.parametrize("path", ["/products", "/products/7/reviews", "/other/7", "/products//"])
def test_another_path_purges_nothing(path: str) -> None:
    assert writes().find("PUT", path, "t") is None


@pytest.mark.parametrize(
    ("path", "found"), [("/products/7/", "7"), ("/products/a%20b", "a b"), ("/p%72oducts/7", "7")]
)
def test_another_spelling_of_a_path_is_the_same_place(path: str, found: str) -> None:
    assert tags(writes().find("PUT", path, "t")) == (f"product:{found}",)


@pytest.mark.parametrize(
    "path",
    [
        "/products/..%2f..",
        "/products/%2e%2e",
        "/products/..",
        "/products/%2e",
        "/products/x%2F..",
        "/products/%252e%252e",
        "/products/%252e%252e%252f%252e",
    ],
)
def test_no_spelling_of_a_path_purges_what_lies_above(path: str) -> None:
    above = {slot for each in ("/", "/products") for slot in tag_slots("prefix", each)}
    for pattern in ("/products/{id}", "/{kind}/{id}"):
        change = writes(path=pattern, tags=[], prefixes=["/products/{id}"]).find("PUT", path, "t")

        assert change is None or above.isdisjoint(change.purges[0].slots())


def test_a_url_has_the_segment_as_it_was_sent() -> None:
    change = writes(tags=["product:{id}"], urls=["/products/{id}"]).find("PUT", "/products/a%2fb%3Fc", "t")

    assert change is not None
    assert change.purges == [Purge("tag", ("product:a/b?c",)), Purge("url", ("/products/a%2Fb%3Fc",))]


def test_a_star_stands_for_all_below() -> None:
    below = writes(path="/files/*", tags=["files"])

    assert all(below.find("PUT", path, "t") for path in ("/files", "/files/", "/files/a", "/files/a/b"))
    assert below.find("PUT", "/filesystem", "t") is None


def test_a_write_may_be_of_some_methods_and_of_its_callers_tenant() -> None:
    narrow = writes(methods=["PUT"], of="tenant")
    change = narrow.find("PUT", "/products/7", "t")

    assert narrow.find("POST", "/products/7", "t") is None
    assert change is not None
    assert change.purges == [Purge("tag", ("product:7",), "t")]


@pytest.mark.parametrize(
    "told",
    [
        {"path": "products"},
        {"path": "/products/{id}/{id}"},
        {"path": "/products/{id}x"},
        {"path": "/*/products"},
        {"tags": ["{name}"]},
        {"refill": ["/products/{name}"]},
        {"refill": ["products"]},
        {"methods": ["GET"]},
        {"of": "all"},
        {"tags": []},
    ],
)
def test_a_write_that_could_not_work_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, msgspec.ValidationError)):
        writes(**told)


def test_a_pattern_takes_its_text_as_it_is() -> None:
    assert read_pattern("/a.b/{x}").fullmatch("/a.b/c")
    assert not read_pattern("/a.b/{x}").fullmatch("/aXb/c")
    assert read_pattern("/").fullmatch("/")


@pytest.mark.parametrize(
    ("status", "changed"),
    [(200, True), (204, True), (302, True), (404, False), (429, False), (500, True), (None, True)],
)
def test_only_a_4xx_says_that_nothing_was_done(status: int | None, changed: bool) -> None:
    assert may_have_changed(status) is changed
