"""Recorded answers told in their other form and back, and what the team's judge makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from llmproxy.plugin import Form, Untellable

from .conftest import records

Retell = Callable[[bytes, Form, Form], bytes]


def both_ways(judge: Any, dialect: str, recorded: set[str], whole: Form, retell: Retell) -> Counter[str]:
    """Tell each recorded answer otherwise and back; count those that mean the same to the judge, and the refused."""
    streamed, found = whole._replace(streamed=True), Counter[str]()
    for record in records():
        response = record["response"]
        if record["dialect"] not in recorded or response["status"] != 200:
            continue
        events = response.get("events")
        body = "".join(events).encode() if events else orjson.dumps(response.get("body"))
        here, there = (streamed, whole) if events else (whole, streamed)
        if not events and isinstance(response.get("body"), list):
            here = streamed._replace(manner="array")
            there = whole
        try:
            other = retell(body, here, there)
            back = retell(other, there, here)
        except Untellable as fault:
            found[str(fault)] += 1
            continue
        truth = judge.parse_response(dialect, response)
        bad = [
            problem
            for told, form in ((other, there), (back, here))
            for problem in _problems(judge, dialect, truth, told, form)
        ]
        found[f"{record['id']}: {bad}" if bad else "equal"] += 1
    return found


def _problems(judge: Any, dialect: str, truth: Any, told: bytes, form: Form) -> list[str]:
    response: dict[str, Any] = {"status": 200, "headers": {}}
    if form.streamed and form.manner != "array":
        blocks = told.decode().replace("\r\n", "\n").split("\n\n")
        response["events"] = [f"{block}\n\n" for block in blocks if block]
    else:
        response["body"] = orjson.loads(told)
    answer = judge.parse_response(dialect, response)
    problems, _ = judge.compare(truth, answer, dialect, "totals", False)
    meanings = [
        (
            each.text,
            each.reasoning,
            [(call.get("id"), call.get("name"), call.get("args")) for call in each.calls],
            each.finish,
            each.usage,
            each.refusal,
        )
        for each in (truth, answer)
    ]
    return [*problems, *answer.problems, *([] if meanings[0] == meanings[1] else ["another meaning"])]
