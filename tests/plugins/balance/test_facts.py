"""Prices and windows where a gateway runs and where none does; what is counted."""

from llmproxy.exchange import Endpoint, Usage
from llmproxy.metrics import Metrics
from llmproxy.runtime import Clock
from llmproxy.tariff import Tariff
from llmproxy.testing import make_exchange
from llmproxy_balance.facts import Facts

GPT = Endpoint("upstream", "gpt-4o-mini")


def test_where_nothing_runs_the_catalogue_is_read_at_once():
    facts = Facts()

    assert facts.window(make_exchange(), GPT) is None  # the upstream is no known provider's
    assert facts.price(make_exchange(), GPT, Usage(input=5)) is None
    facts.count("arms", "pool", "canary")  # nobody counts, nothing breaks
    facts.warn("told", place="place")


class Running:
    """What the facts use of a runtime."""

    def __init__(self):
        self.metrics = Metrics()
        self.tariff = Tariff({"upstream": "openai"}, Clock())
        self.spawned = []
        self.log = self

    def spawn(self, work, *, name):
        self.spawned.append(work)

    def warning(self, event, **details):
        self.warned = (event, details)


async def test_a_running_gateway_reads_the_catalogue_once_somebody_wants_it():
    runtime, facts = Running(), Facts()
    facts.open(runtime)

    assert runtime.spawned == []
    facts.want()
    assert facts.window(make_exchange(), GPT) is None
    assert facts.window(make_exchange(), GPT) is None

    [reading] = runtime.spawned
    await reading
    assert facts.window(make_exchange(), GPT) == 128_000
    assert facts.price(make_exchange(), GPT, Usage(output=1_000_000)) == 600_000


def test_what_happens_is_counted_under_names_of_the_configuration():
    runtime, facts = Running(), Facts()
    facts.open(runtime)
    facts.count("arms", "pool", "canary")
    facts.warn("condition_failed", place="a")

    told = runtime.metrics.exposition([runtime.metrics.snapshot()])
    assert 'llmproxy_experiment_requests_total{pool="pool",arm="canary"} 1' in told
    assert runtime.warned == ("condition_failed", {"place": "a"})
