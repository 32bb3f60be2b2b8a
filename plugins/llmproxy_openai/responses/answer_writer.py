"""Shapes a whole answer as a response object."""

from __future__ import annotations

from llmproxy.canonical import Answer, Choice, CountAnswer, ModelAnswer
from llmproxy.plugin import Exchange, Reply, no_translation
from llmproxy_openai.responses.asked import asked_of
from llmproxy_openai.responses.envelope import counts, end_of, envelope_of
from llmproxy_openai.responses.output import output_of


def encode_answer(exchange: Exchange, answer: ModelAnswer) -> Reply:
    """Shape an answer, or the count of a request's tokens."""
    if isinstance(answer, CountAnswer):
        return Reply.json({"object": "response.input_tokens", "input_tokens": answer.tokens})
    if not isinstance(answer, Answer):
        raise no_translation()
    asked = asked_of(exchange)
    choice = answer.choices[0] if answer.choices else Choice()
    value = envelope_of(exchange, asked, answer)
    status = end_of(value, choice)
    value["output"] = output_of(choice, asked.id, status, asked.custom)
    value["usage"] = counts(answer.usage)
    return Reply.json(value)
