"""Puts a list of items together to turns: a model's items to one, results of tools before what the user says."""

from __future__ import annotations

from typing import Literal

from llmproxy.canonical import Block, Message, Text, ToolResult


class Turns:
    """Collects items in their order; `messages` and `system` are what they make, `names` those of the calls."""

    __slots__ = ("_blocks", "_messages", "_nameless", "_role", "names", "system")

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.names: dict[str, str] = {}
        self._nameless: list[str] = []
        self._messages: list[Message] = []
        self._role: Literal["", "user", "assistant"] = ""
        self._blocks: list[Block] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        """The turns so far."""
        self._close()
        return tuple(self._messages)

    def new_id(self) -> str:
        """Give a call without an id one by its place, which stays the same when the conversation goes on."""
        number = len(self.names)
        while (made := f"call_{number}") in self.names:
            number += 1
        self._nameless.append(made)
        return made

    def answered_id(self) -> str:
        """Return the id of the first call without one that has no result; empty if there is none."""
        return self._nameless.pop(0) if self._nameless else ""

    def model(self, *blocks: Block) -> None:
        """Take what the model said, thought or called."""
        self._add("assistant", blocks)

    def user(self, *blocks: Block) -> None:
        """Take what the user says; it follows the results of tools that came just before."""
        if self._role == "user" and not isinstance(self._blocks[-1], ToolResult):
            self._close()
        self._add("user", blocks)

    def result(self, block: Block) -> None:
        """Take what a tool gave."""
        if self._role == "user" and not isinstance(self._blocks[-1], ToolResult):
            self._close()
        self._add("user", (block,))

    def instruct(self, *texts: Text) -> None:
        """Take instructions: the request's own before the first turn, a turn of their own later."""
        if not self._messages and not self._blocks:
            self.system.extend(texts)
            return
        self._close()
        if texts:
            self._messages.append(Message(role="system", content=texts))

    def _add(self, role: Literal["user", "assistant"], blocks: tuple[Block, ...]) -> None:
        if not blocks:
            return
        if self._role != role:
            self._close()
            self._role = role
        self._blocks.extend(blocks)

    def _close(self) -> None:
        if self._blocks:
            self._messages.append(Message(role=self._role or "user", content=tuple(self._blocks)))
        self._role, self._blocks = "", []
