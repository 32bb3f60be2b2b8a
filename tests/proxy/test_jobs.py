import errno

import pytest

from llmproxy.children import Child, Slot
from llmproxy.control import Channel
from llmproxy.errors import StartError
from llmproxy.filewatch import Source
from llmproxy.jobs import Jobs
from llmproxy.orders import Abort, Answer, Build, Built, Commit, Committed, Drain, Failed, ReloadResult


class Wire(Channel):
    """A channel that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


class Workers:
    """A fleet without processes: pids are 100, 101, ..."""

    def __init__(self, count):
        self.slots = [Slot(number, ()) for number in range(count)]
        self.children = {}
        self.fork_fault = None
        self.started = []
        for slot in self.slots:
            self.start(slot, 1, b"one").ready = True

    def start(self, slot, generation, data):
        if self.fork_fault:
            raise self.fork_fault
        child = Child(slot.number, 100 + len(self.started), Wire(), 0.0, None)
        self.started.append((slot.number, generation, data))
        self.children[child.pid] = child
        if slot.current is None:
            slot.current = child
        else:
            slot.successor = child
        return child

    def current(self):
        return [slot.current for slot in self.slots if slot.current is not None]

    def send(self, message, to):
        for pid in to:
            self.children[pid].channel.send(message)

    def sent(self, pid):
        return self.children[pid].channel.sent


@pytest.fixture
def workers():
    return Workers(2)


@pytest.fixture
def source():
    return {"data": b"two"}


@pytest.fixture
def jobs(workers, source):
    def read():
        if isinstance(source["data"], Exception):
            raise source["data"]
        return source["data"]

    return Jobs(workers, Source(read), drain_timeout=5.0, data=b"one")


def become_ready(jobs, slot):
    (slot.successor or slot.current).ready = True
    jobs.ready(slot)


def test_a_reload_swaps_all_and_answers_who_asked(jobs, workers):
    first, second = workers.children.values()
    jobs.want_reload((first, 7))
    jobs.begin()
    for child in (first, second):
        jobs.take(child, Built(2, ("note",)))
    swapped = jobs.generation, jobs.data
    for child in (first, second):
        jobs.take(child, Committed(2))

    assert swapped == (2, b"two")
    assert workers.sent(101) == [Build(2, b"two"), Commit(2)]
    assert workers.sent(100)[-1] == Answer(7, ReloadResult(True, 2, notes=("note",)))
    assert jobs.reload is None


def test_a_refusal_leaves_the_old_bytes_and_the_next_try_has_a_new_number(jobs, workers):
    first, second = workers.children.values()
    jobs.want_reload((first, 7))
    jobs.begin()
    jobs.take(second, Failed(2, "no such upstream"))
    jobs.take(first, Built(2))
    jobs.want_reload()
    jobs.begin()

    assert workers.sent(100) == [
        Build(2, b"two"),
        Abort(2),
        Answer(7, ReloadResult(False, 1, "no such upstream")),
        Build(3, b"two"),
    ]
    assert (jobs.generation, jobs.data) == (1, b"one")


def test_wishes_for_a_reload_that_has_not_begun_are_one_reload(jobs, workers):
    first, second = workers.children.values()
    jobs.want_reload((first, 1))
    jobs.want_reload((second, 2))
    jobs.want_reload()
    jobs.begin()
    jobs.begin()
    jobs.take(first, Failed(2, "no"))
    jobs.begin()

    refused = ReloadResult(False, 1, "no")
    assert workers.sent(100) == [Build(2, b"two"), Abort(2), Answer(1, refused)]
    assert workers.sent(101) == [Build(2, b"two"), Abort(2), Answer(2, refused)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (StartError("no key"), "no key"),
        (FileNotFoundError(errno.ENOENT, "No such file", "c.yaml"), "cannot read 'c.yaml': No such file"),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_worker_hears_of_it(jobs, workers, source, fault, reason):
    source["data"] = fault
    jobs.want_reload((workers.children[100], 7))
    jobs.begin()

    assert workers.sent(100) == [Answer(7, ReloadResult(False, 1, reason))]


def test_a_reload_waits_for_a_worker_that_is_on_its_way(jobs, workers):
    workers.slots[1].current.ready = False
    jobs.want_reload()
    jobs.begin()
    early = list(workers.sent(100))
    become_ready(jobs, workers.slots[1])
    jobs.begin()

    assert early == []
    assert workers.sent(100) == [Build(2, b"two")]


def test_a_reload_without_any_worker_is_refused(jobs, workers):
    for slot in workers.slots:
        slot.current = None
    jobs.want_reload((workers.children[100], 7))
    jobs.begin()

    assert workers.sent(100)[0].result.reason == "no worker runs that could check the configuration"


def test_a_worker_lost_during_a_build_refuses_the_reload(jobs, workers):
    jobs.want_reload()
    jobs.begin()
    jobs.lost(workers.children[101], "it was ended by SIGKILL")

    assert workers.sent(100) == [Build(2, b"two"), Abort(2)]
    assert jobs.reload is None


def test_a_reload_that_takes_too_long_is_refused(jobs, workers):
    jobs.want_reload()
    jobs.begin()
    jobs.expire(jobs.reload.deadline - 1)
    waiting = jobs.reload is not None
    jobs.expire(jobs.reload.deadline)

    assert waiting
    assert workers.sent(100)[-1] == Abort(2)


def test_a_roll_replaces_one_after_the_other_and_drains_the_old(jobs, workers):
    asker = workers.children[100]
    jobs.want_successors(list(workers.children.values()), (asker, 7))
    jobs.begin()
    one_at_a_time = len(workers.started) == 3
    for slot in workers.slots:
        become_ready(jobs, slot)

    assert one_at_a_time
    assert [slot.current.pid for slot in workers.slots] == [102, 103]
    assert workers.sent(100) == [Drain(5.0, handover=True), Answer(7, ReloadResult(True, 1))]
    assert workers.sent(101) == [Drain(5.0, handover=True)]


def test_a_successor_that_does_not_start_ends_the_roll_and_the_old_worker_stays(jobs, workers):
    asker = workers.children[100]
    jobs.want_successors(list(workers.children.values()), (asker, 7))
    jobs.begin()
    jobs.lost(workers.slots[0].successor, "no such upstream")

    reason = "the successor of worker 0 did not start: no such upstream"
    assert workers.sent(100) == [Answer(7, ReloadResult(False, 1, reason))]
    assert workers.slots[0].current is asker
    assert workers.slots[0].successor is None


def test_a_fork_that_fails_ends_the_roll(jobs, workers):
    workers.fork_fault = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    jobs.want_successors([workers.children[100]], (workers.children[100], 7))
    jobs.begin()

    assert not workers.sent(100)[0].result.ok


def test_a_worker_that_was_replaced_meanwhile_is_not_replaced_again(jobs, workers):
    for _ in range(2):
        jobs.want_successors([workers.children[100]])
    jobs.begin()
    become_ready(jobs, workers.slots[0])
    jobs.begin()

    assert len(workers.started) == 3


def test_who_waits_when_the_gateway_stops_is_told(jobs, workers):
    first, second = workers.children.values()
    jobs.want_reload((first, 1))
    jobs.begin()
    jobs.want_successors([first], (second, 2))
    jobs.refuse_all("the gateway is stopping")

    stopping = ReloadResult(False, 1, "the gateway is stopping")
    assert workers.sent(100) == [Build(2, b"two"), Answer(1, stopping)]
    assert workers.sent(101)[-1] == Answer(2, stopping)


def test_a_worker_is_told_to_drain_once(jobs, workers):
    child = workers.children[100]
    jobs.drain(child, handover=True)
    jobs.drain(child, handover=False)

    assert workers.sent(100) == [Drain(5.0, handover=True)]
    assert child.kill_at is not None
