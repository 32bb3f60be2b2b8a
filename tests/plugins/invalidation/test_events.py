import orjson
import pytest

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import BadRequest
from llmproxy_invalidation.events import BadEvent, Reader
from llmproxy_invalidation.naming import EventRule

RULES = [EventRule(tags=("product:{id}",), when={"type": "product"})]


def test_an_event_is_read_by_the_rules() -> None:
    read = Reader(RULES, "main").read

    assert read(b'{"type": "product", "id": 1}') == PurgeOrder((Purge("tag", ("product:1",)),), "main")
    assert read(b'{"type": "other"}') == PurgeOrder((), "main")


def test_without_rules_an_event_is_an_order() -> None:
    read = Reader([], "main").read

    assert read(b'{"tags": ["a"]}') == PurgeOrder((Purge("tag", ("a",)),), "main")
    assert read(b'{"tags": ["a"], "store": "other"}').store == "other"
    assert read(b'{"type": "uri", "selectors": ["/a"]}').purges == (Purge("url", ("/a",), None, soft=True),)
    with pytest.raises(BadRequest):
        read(b'{"tag": "a"}')


@pytest.mark.parametrize("data", [b"", b"[]", b'{"type": "product"}', b"\xff"])
def test_what_is_no_event_is_told(data: bytes) -> None:
    with pytest.raises(BadEvent):
        Reader(RULES).read(data)


def test_a_place_that_is_none_is_no_event_either() -> None:
    with pytest.raises(BadEvent, match="neither a URL"):
        Reader([EventRule(urls=("{url}",))]).read(orjson.dumps({"url": "nowhere"}))


def test_fields_are_an_event_too() -> None:
    assert Reader(RULES).read_fields({"type": "product", "id": "1"}).purges == (Purge("tag", ("product:1",)),)
