from functools import partial

import orjson
import pytest

from llmproxy.plugin import AdminRequest, ClientRequest, Clock, GatewayError, Headers
from llmproxy_calllog.database import Database, Reader
from llmproxy_calllog.reading import Desk

from .records import NOW, make_record


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "calls.db"
    database = Database(path, search=True, wall=lambda: NOW)
    database.write([make_record(id=f"{n}", tenant="acme" if n % 2 else "shop") for n in range(6)])
    yield path
    database.close()


async def ask(path, query=""):
    request = AdminRequest(ClientRequest("GET", f"/logs?{query}", Headers()), {}, b"")
    reply = await Desk(partial(Reader, path), Clock()).answer(request)
    return orjson.loads(reply.body)


async def test_a_page_tells_where_the_next_one_begins(path):
    first = await ask(path, "tenant=acme&limit=2")
    second = await ask(path, f"tenant=acme&limit=2&before={first['next']}")

    assert [call["id"] for call in first["calls"] + second["calls"]] == ["5", "3", "1"]
    assert second["next"] is None


@pytest.mark.parametrize("query", ["tenant=acme&tenant=shop", "tennant=acme", "limit=all"])
async def test_a_wrong_question_is_refused(path, query):
    with pytest.raises(GatewayError) as told:
        await ask(path, query)

    assert (told.value.status, told.value.code) == (400, "bad_filter")


async def test_a_file_that_is_gone_is_told(tmp_path):
    with pytest.raises(GatewayError) as told:
        await ask(tmp_path / "none.db")

    assert told.value.status == 503
