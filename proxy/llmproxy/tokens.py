"""How many tokens a prompt has, where no provider counts it: an estimate, marked as one."""

from __future__ import annotations

from llmproxy.canonical import CountAnswer, GenerateRequest, Text


def count_request(request: GenerateRequest, model: str) -> CountAnswer:
    """Count a whole prompt as the provider of `model` would see it."""
    texts = [block.text for message in request.messages for block in message.content if type(block) is Text]
    texts += [block.text for block in request.system]
    return CountAnswer(tokens=sum(count_text(text, model) for text in texts), estimated=True)


def count_text(text: str, model: str) -> int:
    """Count the tokens of a text alone."""
    return -(-len(text) // 4)
