"""One reload over many workers: all build, then all swap, or none."""

from __future__ import annotations

from enum import Enum, auto

from llmproxy.orders import Built, Committed, Failed


class Step(Enum):
    """What the supervisor has to do next."""

    WAIT = auto()
    ABORT = auto()
    COMMIT = auto()
    DONE = auto()


class Reload:
    r"""The votes of the workers on one generation.

    building --all built--> COMMIT --all committed or lost--> DONE
        \--one failed, lost or late--> ABORT, with a `reason`
    """

    def __init__(self, generation: int, data: bytes, members: dict[int, int], *, deadline: float) -> None:
        self.generation = generation
        self.data = data
        self.members = members  # slot by pid
        self.deadline = deadline
        self.reason = ""
        self.notes: dict[str, None] = {}
        self._waiting = set(members)
        self._committing = False

    def take(self, pid: int, vote: Built | Failed | Committed) -> Step:
        """Count the vote of one worker."""
        if vote.generation != self.generation or pid not in self.members:
            return Step.WAIT
        match vote:
            case Failed():
                return self._refuse(vote.reason)
            case Built():
                self.notes.update(dict.fromkeys(vote.notes))
                return self._count(pid, committing=False)
            case Committed():
                return self._count(pid, committing=True)

    def lose(self, pid: int) -> Step:
        """Go on without a worker that died: nobody swaps, or its successor has the new bytes."""
        if pid not in self.members:
            return Step.WAIT
        if not self._committing:
            return self._refuse(f"worker {self.members[pid]} died while it built the new generation")
        return self._count(pid, committing=True)

    def expire(self) -> Step:
        """End the wait at the deadline; a swap that was begun is not taken back."""
        late = ", ".join(str(slot) for slot in sorted(self.members[pid] for pid in self._waiting))
        if not self._committing:
            return self._refuse(f"worker {late} did not answer in time")
        self.notes[f"worker {late} has not confirmed the swap yet"] = None
        return Step.DONE

    def _refuse(self, reason: str) -> Step:
        self.reason = reason
        return Step.ABORT

    def _count(self, pid: int, *, committing: bool) -> Step:
        if committing is not self._committing:
            return Step.WAIT
        self._waiting.discard(pid)
        if self._waiting:
            return Step.WAIT
        if self._committing:
            return Step.DONE
        self._committing = True
        self._waiting = set(self.members)
        return Step.COMMIT
