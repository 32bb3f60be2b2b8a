"""What a supervisor does to all its workers: reloads and replacements, one at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from llmproxy.children import Child, Slot
from llmproxy.control import DRAIN_GRACE, unreadable
from llmproxy.errors import StartError
from llmproxy.filewatch import Source
from llmproxy.fleet import Fleet
from llmproxy.orders import Abort, Answer, Build, Built, Commit, Committed, Drain, Failed, ReloadResult
from llmproxy.reload import Reload, Step

BUILD_SECONDS = 60.0  # until every worker must have built, and again until every worker must have swapped

_log = structlog.get_logger("llmproxy")

Asker = tuple[Child, int]


@dataclass(slots=True, eq=False)
class Job:
    """A reload, or the replacement of `targets`, and who is told how it ended."""

    askers: list[Asker]
    targets: deque[Child] | None = None


@dataclass(slots=True, eq=False)
class Jobs:
    """Reload all workers or replace them, one job at a time; hold the bytes that serve."""

    fleet: Fleet
    source: Source
    drain_timeout: float
    data: bytes
    generation: int = 1
    reload: Reload | None = None
    _tried: int = 1
    _queue: deque[Job] = field(default_factory=deque)
    _job: Job | None = None

    def want_reload(self, *askers: Asker) -> None:
        """Queue a reload, or join the one that has not begun."""
        if self._queue and self._queue[-1].targets is None:
            self._queue[-1].askers += askers
        else:
            self._queue.append(Job(list(askers)))

    def want_successors(self, targets: Iterable[Child], *askers: Asker) -> None:
        """Queue the replacement of `targets`, one by one."""
        self._queue.append(Job(list(askers), deque(targets)))

    def begin(self) -> None:
        """Begin the next job once the last is done and every worker that was on its way has come."""
        if self._job is not None or not self._queue or any(slot.starting for slot in self.fleet.slots):
            return
        self._job = self._queue.popleft()
        if self._job.targets is None:
            self._begin_reload()
        else:
            self._replace_next(self._job.targets)

    def refuse_all(self, reason: str) -> None:
        """Answer everybody who waits; nothing is begun or gone on with."""
        if self._job is not None:
            self._finish(reason)
        while self._queue:
            self._job = self._queue.popleft()
            self._finish(reason)

    def take(self, child: Child, vote: Built | Failed | Committed) -> None:
        """Count a worker's vote on the generation that is being built."""
        if self.reload is not None:
            self._advance(self.reload, self.reload.take(child.pid, vote))

    def ready(self, slot: Slot) -> None:
        """Put the slot's successor in its place and let the old worker go."""
        if slot.successor is None:
            return
        old, slot.current, slot.successor = slot.current, slot.successor, None
        if old is not None:
            self.drain(old, handover=True)
        if self._job is not None and self._job.targets is not None:
            self._replace_next(self._job.targets)

    def lost(self, child: Child, reason: str) -> None:
        """Go on, or give up, without a worker that died."""
        if self.reload is not None:
            self._advance(self.reload, self.reload.lose(child.pid))
        slot = self.fleet.slots[child.slot]
        if slot.successor is child:
            slot.successor = None
            if self._job is not None:
                self._finish(f"the successor of worker {child.slot} did not start: {reason}")

    def expire(self, now: float) -> None:
        """End the wait of a reload whose time is over."""
        if self.reload is not None and now >= self.reload.deadline:
            self._advance(self.reload, self.reload.expire())

    def drain(self, child: Child, *, handover: bool) -> None:
        """Tell a worker to finish and leave."""
        if not child.draining:
            child.draining = True
            child.kill_at = time.monotonic() + self.drain_timeout + DRAIN_GRACE
            child.channel.send(Drain(self.drain_timeout, handover))

    def _begin_reload(self) -> None:
        try:
            data = self.source.read()
        except OSError as error:
            return self._finish(unreadable(error))
        except StartError as error:
            return self._finish(str(error))
        members = {child.pid: child.slot for child in self.fleet.current()}
        if not members:
            return self._finish("no worker runs that could check the configuration")
        self._tried += 1  # a refused number is not used again: a late vote on it must not count
        self.reload = Reload(self._tried, data, members, deadline=time.monotonic() + BUILD_SECONDS)
        self.fleet.send(Build(self._tried, data), members)
        return None

    def _advance(self, reload: Reload, step: Step) -> None:
        match step:
            case Step.ABORT:
                self.fleet.send(Abort(reload.generation), reload.members)
                self._finish(reload.reason)
            case Step.COMMIT:
                self.generation, self.data = reload.generation, reload.data
                reload.deadline = time.monotonic() + BUILD_SECONDS
                self.fleet.send(Commit(reload.generation), reload.members)
            case Step.DONE:
                self._finish("", tuple(reload.notes))
            case Step.WAIT:
                pass

    def _replace_next(self, targets: deque[Child]) -> None:
        while targets:
            target = targets.popleft()
            slot = self.fleet.slots[target.slot]
            if slot.current is target:
                try:
                    self.fleet.start(slot, self.generation, self.data)
                except OSError as error:
                    self._finish(f"the successor of worker {slot.number} did not start: {error.strerror}")
                return
        self._finish("")

    def _finish(self, reason: str, notes: tuple[str, ...] = ()) -> None:
        assert self._job is not None
        result = ReloadResult(not reason, self.generation, reason, notes)
        name = "reload" if self._job.targets is None else "roll"
        if reason:
            _log.error(f"{name}_refused", generation=self.generation, reason=reason)
        else:
            _log.info(f"{name}_done", generation=self.generation, notes=list(notes))
        for child, number in self._job.askers:
            self.fleet.send(Answer(number, result), [child.pid])
        self._job = self.reload = None
