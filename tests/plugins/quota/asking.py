"""What the tests of limits ask and are answered."""

from __future__ import annotations

from typing import Any

from llmproxy.plugin import Caller, Exchange
from llmproxy.testing import make_exchange

ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
MONEY = {"name": "budget", "counts": "money", "at_most": 1, "window": "month"}
names = iter(range(10_000))


def ask(tenant: str = "acme", name: str = "", **more: Any) -> Exchange:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], **more}
    return make_exchange(body=body, caller=Caller(tenant), name=name or f"exchange-{next(names)}")
