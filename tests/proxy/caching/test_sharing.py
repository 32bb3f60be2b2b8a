from collections.abc import Callable

from llmproxy.caching.seats import Elsewhere, Landed, Seat
from llmproxy.caching.sharing import Shared
from llmproxy.caching.tailing import Head
from llmproxy.exchange import Endpoint
from llmproxy.messages import Reply, StoredReply
from llmproxy.testing import make_exchange

STORED = StoredReply(200, [(b"vary", b"accept-language")], b"hello")
HEAD = Head(200, STORED.headers, False, True, b"en", True, "there", "m")


def speaks(language: bytes) -> Callable[[Reply], bytes]:
    return lambda reply: language if "vary" in reply.headers else b""


async def test_each_follower_gets_a_reply_of_its_own() -> None:
    shared = Shared(STORED, None)
    one, two = shared.for_seat(Seat()), shared.for_seat(Seat())
    assert isinstance(one, Landed)
    assert isinstance(two, Landed)
    one.reply.headers.add("age", "1")

    assert (two.role, two.reply.body, "age" in two.reply.headers) == ("joined", b"hello", False)
    assert STORED.headers == ((b"vary", b"accept-language"),)


async def test_a_follower_that_needs_another_variant_is_sent_elsewhere() -> None:
    shared = Shared(STORED, None, Seat(variant=speaks(b"en")))

    assert shared.for_seat(Seat(variant=speaks(b"de"))) == Elsewhere(b"de")
    assert isinstance(shared.for_seat(Seat(variant=speaks(b"en"))), Landed)
    assert isinstance(shared.for_seat(Seat()), Landed)


async def test_another_worker_is_told_all_that_its_callers_need() -> None:
    exchange = make_exchange(endpoints=[Endpoint("there", "m")])
    exchange.usage_added = True
    shared = Shared(STORED, None, Seat(exchange, variant=speaks(b"en")))

    assert shared.head(joinable=True) == HEAD


async def test_what_came_out_of_the_store_has_no_endpoint() -> None:
    head = Shared(STORED, None).head(joinable=False)

    assert (head.upstream, head.model, head.usage_added, head.variant) == ("", None, False, b"")


async def test_what_another_worker_told_reaches_a_followers_exchange() -> None:
    exchange = make_exchange(endpoints=[Endpoint("here")])
    landed = Shared(STORED, None, head=HEAD).for_seat(Seat(exchange, variant=speaks(b"en")))

    assert isinstance(landed, Landed)
    assert (exchange.endpoint, exchange.usage_added) == (Endpoint("there", "m"), True)


async def test_an_answer_without_an_endpoint_changes_no_followers() -> None:
    exchange = make_exchange(endpoints=[Endpoint("here")])
    for shared in (Shared(STORED, None), Shared(STORED, None, Seat(make_exchange()))):
        shared.for_seat(Seat(exchange))

    assert exchange.endpoint == Endpoint("here")
