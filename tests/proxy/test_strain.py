import threading

import orjson
import pytest

from llmproxy.errors import BadRequest, UpstreamError
from llmproxy.strain import Depth, aside


async def test_only_what_is_large_is_done_in_a_thread():
    here = threading.current_thread()

    assert await aside(b"x" * 1000, threading.current_thread) is here
    assert await aside(b"x" * 1_000_000, threading.current_thread) is not here


def nested(depth):
    return [] if depth == 0 else [nested(depth - 1)]


def without_end():
    return without_end()


@pytest.mark.parametrize("work", [without_end, lambda: orjson.dumps(nested(400))])
def test_depth_is_a_refusal(work):
    with pytest.raises(BadRequest) as refused, Depth():
        work()

    assert refused.value.code == "too_complex"


def test_depth_may_be_told_otherwise():
    fault = UpstreamError("bad", "Bad.", phase="body", sent=True)

    with pytest.raises(UpstreamError), Depth(lambda: fault):
        without_end()


@pytest.mark.parametrize("work", [lambda: orjson.dumps({1, 2}), lambda: orjson.loads(b"{"), lambda: len(1)])
def test_other_faults_stay_what_they_are(work):
    with pytest.raises((TypeError, ValueError)) as raised, Depth():
        work()

    assert not isinstance(raised.value, BadRequest)
