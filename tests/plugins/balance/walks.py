"""Walks by hand: a walker with a clock that stands still, and attempts that end as told."""

from random import Random

from llmproxy.errors import GatewayError
from llmproxy.exchange import Attempt
from llmproxy.messages import Reply
from llmproxy.metrics import Metrics
from llmproxy.testing import make_exchange
from llmproxy_balance.config import BackoffSettings
from llmproxy_balance.limits import Limits
from llmproxy_balance.limitsettings import QueueSettings
from llmproxy_balance.lineup import AllWell, Gatekeeper, LineUp
from llmproxy_balance.metering import Meters
from llmproxy_balance.retrybudget import RetryBudget, RetryBudgetSettings
from llmproxy_balance.retrying import Backoff
from llmproxy_balance.walking import Terms, Walker
from llmproxy_balance.watching import Unwatched

#: What an attempt comes to, that is good.
GOOD = Reply(200)


class StoppedClock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self):
        self.time = 100.0
        self.slept = []

    def now(self):
        return self.time

    def wall(self):
        return 1_000_000.0 + self.time

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds


class Watched(Unwatched):
    """Health that hears everything, and lets nobody in who is `shut`."""

    def __init__(self):
        self.heard = []
        self.shut = set()

    def claim(self, endpoint):
        return endpoint.model not in self.shut

    def answered(self, place, attempt):
        self.heard.append((attempt.endpoint.model, None))

    def settle(self, exchange, attempt, failure):
        self.heard.append((attempt.endpoint.model, None if failure is None else failure.kind))


class Walk:
    """A walk through a pool whose places answer as `script` says, by the place's name, in turn; the last repeats."""

    def __init__(self, script, *, retries=0, max_wait=5.0, gates=(), budget=None, took=0.0):
        self.script = {name: list(answers) for name, answers in script.items()}
        self.clock = StoppedClock()
        self.watcher = Watched()
        self.budget = RetryBudget(budget or RetryBudgetSettings())
        self.metrics = Metrics()
        self.took = took
        self.tried = []
        self.limits = Limits(QueueSettings(length=0), self.clock)
        full = Gatekeeper(self.limits.gate, self.limits.concerns, passing=True, waits=True)
        self.line_up = LineUp(AllWell(), [*gates, full])
        self.walker = Walker(
            self.line_up,
            self.watcher,
            self.limits,
            self.budget,
            Backoff(BackoffSettings(), Random(1)),
            self.clock,
            Meters(self.metrics),
            lambda exchange: Terms(retries, max_wait),
        )

    async def __call__(self, pool, *, attempts=3, deadline=0.0, **asked):
        exchange = self.exchange = make_exchange(**{"model": "m", **asked})
        exchange.endpoints, exchange.deadline = pool, deadline
        exchange.route.most_attempts = attempts
        return await self.walker.walk(exchange, pool, self.call_next)

    async def call_next(self, exchange):
        endpoint = exchange.endpoint
        attempt = Attempt(len(exchange.attempts) + 1, endpoint, self.clock.now())
        exchange.attempts.append(attempt)
        self.tried.append(endpoint.model)
        self.clock.time += self.took
        answers = self.script[endpoint.model]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        attempt.ended = attempt.headers_at = self.clock.now()
        if isinstance(answer, BaseException):
            attempt.error = answer
        else:
            attempt.status, attempt.complete = answer.status, True
        exchange.trail.done(exchange, attempt)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def counted(self):
        """What was counted, by place and outcome."""
        text = self.metrics.exposition([self.metrics.snapshot()])
        found = {}
        for line in text.splitlines():
            if line.startswith("llmproxy_attempts_total{"):
                labels, _, value = line.rpartition(" ")
                place, outcome = (
                    labels.split('place="')[1].split('"')[0],
                    labels.split('outcome="')[1].split('"')[0],
                )
                found[place, outcome] = int(float(value))
        return found


async def refused(walk, pool, **known):
    """The error that a walk ends with."""
    try:
        await walk(pool, **known)
    except GatewayError as fault:
        return fault
    raise AssertionError("the walk should have failed")
