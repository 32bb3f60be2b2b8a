from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.purges import LONGEST, MOST_VALUES, Purge, PurgeOrder, read_order
from llmproxy.caching.tags import entry_slots, key_name
from llmproxy.errors import BadRequest


def read(**told: Any) -> PurgeOrder:
    return read_order(orjson.dumps(told))


def refusal(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_order(body)
    return caught.value


def test_an_order_names_what_to_purge_by_kind() -> None:
    order = read(tags=["a", "b"], prefixes=["/c"], tenant="t", soft=True, store="main")

    assert order.purges == (
        Purge("tag", ("a", "b"), "t", soft=True),
        Purge("prefix", ("/c",), "t", soft=True),
    )
    assert order.store == "main"
    assert order.named == 3
    assert order.slots(soft=False) == []
    assert len(order.slots(soft=True)) == 5


@pytest.mark.parametrize(
    ("told", "purge"),
    [
        ({"all": True}, Purge("all")),
        ({"tenant": "t"}, Purge("all", (), "t")),
        ({"tenants": ["t"]}, Purge("tenant", ("t",))),
        ({"keys": [key_name(b"k")]}, Purge("key", (key_name(b"k"),))),
        ({"urls": ["/a?b"], "tags": []}, Purge("url", ("/a?b",))),
        ({"models": ["m"]}, Purge("model", ("m",))),
        ({"routes": ["r"]}, Purge("route", ("r",))),
        ({"templates": ["p"]}, Purge("template", ("p",))),
        ({"documents": ["d"]}, Purge("document", ("d",))),
    ],
)
def test_each_kind_purges_the_entry_that_is_about_it(told: dict[str, Any], purge: Purge) -> None:
    order = read(**told)
    entry = entry_slots(
        tenant="t", route="r", model="m", key=b"k", url="/a?b", template="p", documents=["d"], tags=["x"]
    )
    other = entry_slots(tenant="u", route="q", model="n", key=b"l", url="/a", tags=["x"])

    assert order.purges == (purge,)
    assert not set(purge.slots()).isdisjoint(entry)
    assert set(purge.slots()).isdisjoint(other) or purge == Purge("all")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[]", "object"),
        (b"{}", "Nothing is named"),
        (b'{"soft": true}', "Nothing is named"),
        (b'{"tag": ["a"]}', "did you mean 'tags'"),
        (b'{"quux": 1}', "known: tags"),
        (b'{"tags": "a"}', "list of texts"),
        (b'{"tags": [1]}', "list of texts"),
        (b'{"tags": [""]}', "list of texts"),
        (b'{"tags": ["a"], "soft": 1}', "true or false"),
        (b'{"tags": ["a"], "tenant": ""}', "should be a text"),
        (b'{"tenants": ["a"], "tenant": "b"}', "one tenant"),
        (b'{"prefixes": ["a"]}', "neither a URL nor a path"),
        (orjson.dumps({"tags": ["a" * (LONGEST + 1)]}), "more than"),
        (orjson.dumps({"tags": [str(n) for n in range(MOST_VALUES + 1)]}), "several orders"),
        (b'{"type": "origin", "selectors": ["/a"]}', "An origin is written"),
        (b'{"type": "group", "selectors": ["http://a.test"]}', "'groups' should be"),
        (b'{"type": "uri", "selectors": ["mailto:a"]}', "neither a URL nor a path"),
    ],
)
def test_what_is_no_order_is_refused_and_says_why(body: bytes, says: str) -> None:
    error = refusal(body)

    assert error.status == 400
    assert says in error.message


def test_an_event_names_uris_softly_unless_it_says_purge() -> None:
    selectors = ["https://example.com/foo/bar", "https://example.com/foo/bar/baz"]

    assert read(type="uri", selectors=selectors).purges == (Purge("url", tuple(selectors), None, soft=True),)
    assert not read(type="uri", selectors=selectors, purge=True).purges[0].soft


def test_an_event_may_name_prefixes_origins_and_groups_and_say_more_than_is_known() -> None:
    entry = entry_slots(tenant="t", route="r", url="https://example.com/a/b", groups=["scripts"])
    events = [
        {"type": "uri-prefix", "selectors": ["https://EXAMPLE.com:443/a"], "more": 1},
        {"type": "origin", "selectors": ["https://example.com:443"]},
        {"type": "group", "selectors": ["https://example.com"], "groups": ["other", "scripts"]},
    ]

    for event in events:
        assert not set(read(**event).slots(soft=True)).isdisjoint(entry)
    elsewhere = {"type": "group", "selectors": ["https://example.net"], "groups": ["scripts"]}
    assert set(read(**elsewhere).slots(soft=True)).isdisjoint(entry)


def test_a_selector_of_another_type_is_not_supported() -> None:
    assert refusal(b'{"type": "regex", "selectors": [".*"]}').status == 501


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["tags", "type", "selectors", "tenant", "all"]), inner)
        ),
    )
)
def test_no_body_is_more_than_refused(told: Any) -> None:
    try:
        order = read_order(orjson.dumps(told))
    except BadRequest:
        return

    assert order.slots(soft=True) or order.slots(soft=False)


def test_a_purge_by_nothing_is_a_fault_of_whoever_made_it() -> None:
    with pytest.raises(ValueError, match="no tag is named"):
        Purge("tag").slots()
    odd: Any = "mood"
    with pytest.raises(ValueError, match="mood"):
        Purge(odd, ("a",)).slots()
