"""The layers of `around_upstream`: in which order, and whose fault ends what."""

import pytest

from llmproxy.errors import GatewayError
from llmproxy.layers import Layers, expected
from llmproxy.messages import Reply
from llmproxy.replies import Step
from llmproxy.testing import make_exchange

GOOD = Reply.json({})


class Site:
    """Layers around attempts that are answered well; whose faults were told."""

    def __init__(self, *steps):
        self.attempts, self.told = 0, []
        self.layers = Layers(steps, self.attempt, lambda step, hook, fault: self.told.append(step.plugin))

    async def attempt(self, exchange):
        self.attempts += 1
        return GOOD

    async def __call__(self):
        layers, exchange = self.layers, make_exchange()
        try:
            return expected(await (layers.outer or bare)(exchange, layers.inner))
        except Exception as fault:
            return await layers.despite(fault, exchange)


def step(name, call, *, open_=False):
    return Step(call, 0, name, open_)


async def bare(exchange, call_next):
    return await call_next(exchange)


async def broken(exchange, call_next):
    raise LookupError("no")


async def forgetful(exchange, call_next):
    await call_next(exchange)


async def refusing(exchange, call_next):
    raise GatewayError(429, "too_many", "Slow down.")


async def test_where_there_is_no_layer_there_are_the_attempts():
    site = Site()

    assert site.layers.outer is None
    assert await site() is GOOD


async def test_the_first_one_is_outside():
    seen = []

    def noting(name):
        async def layer(exchange, call_next):
            seen.append(name)
            return await call_next(exchange)

        return step(name, layer)

    assert await Site(noting("a"), noting("b"), noting("c"))() is GOOD
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("fault", [broken, forgetful])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_fault_ends_the_exchange_wherever_its_layer_is(fault, place):
    steps = [step(name, bare) for name in "abc"]
    steps[place] = step("faulty", fault)
    site = Site(*steps)

    with pytest.raises(GatewayError) as told:
        await site()

    assert (told.value.status, told.value.code, site.told) == (502, "plugin_failed", ["faulty"])


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_layer_that_fails_open_is_left_out(place):
    steps = [step(name, bare) for name in "abc"]
    steps[place] = step("faulty", broken, open_=True)
    site = Site(*steps)

    assert await site() is GOOD
    assert (site.told, site.attempts) == (["faulty"], 1)


@pytest.mark.parametrize("place", [0, 1])
async def test_a_refusal_is_nobodys_fault(place):
    steps = [step("a", bare), step("b", bare)]
    steps[place] = step("refusing", refusing, open_=True)
    site = Site(*steps)

    with pytest.raises(GatewayError) as told:
        await site()

    assert (told.value.status, site.told, site.attempts) == (429, [], 0)


async def test_what_fails_within_all_layers_is_the_callers_to_tell():
    site = Site()

    with pytest.raises(LookupError):
        await site.layers.despite(LookupError("no"), make_exchange())
    assert site.told == []
