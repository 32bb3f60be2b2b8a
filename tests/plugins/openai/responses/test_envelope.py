from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openai.types.responses import Response

from llmproxy.canonical import Answer, Choice, Refusal
from llmproxy.plugin import BadRequest, GatewayError, ProviderError, Usage
from llmproxy_openai.responses.asked import asked_of
from llmproxy_openai.responses.envelope import counts, end, end_of, envelope_of, failure

if TYPE_CHECKING:
    from .conftest import AskedFor


def test_a_response_repeats_its_request(asked_for: AskedFor) -> None:
    told: dict[str, Any] = {
        "instructions": "be brief",
        "temperature": 0,
        "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": False}],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
        "store": False,
    }
    exchange = asked_for(**told)

    value = envelope_of(exchange, asked_of(exchange), Answer(model="dated", created=7, service_tier="flex"))

    assert Response.model_validate(value).id == asked_of(exchange).id
    assert value["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert value["reasoning"] == {"effort": "low", "summary": None}
    assert {key: value[key] for key in told if key not in ("text", "reasoning")} == {
        key: each for key, each in told.items() if key not in ("text", "reasoning")
    }
    assert (value["model"], value["created_at"], value["service_tier"]) == ("dated", 7, "flex")


def test_what_was_not_said_stands_as_the_api_fills_it_in(asked_for: AskedFor) -> None:
    exchange = asked_for()

    value = envelope_of(exchange, asked_of(exchange), Answer())

    assert (value["model"], value["temperature"], value["tool_choice"]) == ("m", 1.0, "auto")
    assert value["created_at"] > 1_700_000_000
    assert Response.model_validate(value).parallel_tool_calls


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("context", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
        ("pause", "incomplete", None),
        ("malformed", "incomplete", None),
        ("error", "incomplete", None),
        (None, "incomplete", None),
    ],
)
def test_an_end_is_told_by_status_and_reason(finish: Any, status: str, reason: str | None) -> None:
    value: dict[str, Any] = {"incomplete_details": None}

    assert end(value, finish, refused=False) == status
    assert value["incomplete_details"] == (None if status == "completed" else {"reason": reason})


def test_a_refusal_in_words_is_a_whole_answer() -> None:
    choice = Choice(content=(Refusal(text="no"),), finish="refusal")

    assert end_of({}, choice) == "completed"


def test_input_counts_hold_what_a_cache_gave_and_took() -> None:
    told = counts(Usage(1, 20, 300, 4000, 50000))

    assert told is not None
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (321, 54000, 54321)
    assert told["input_tokens_details"] == {"cached_tokens": 20, "cache_write_tokens": 300}
    assert told["output_tokens_details"] == {"reasoning_tokens": 50000}
    assert counts(None) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderError(429, "x", "Slow.", kind="rate_limit"), "rate_limit_exceeded"),
        (
            ProviderError(400, "context_length_exceeded", "Long.", kind="invalid_request"),
            "context_length_exceeded",
        ),
        (ProviderError(400, "odd", "Odd.", kind="invalid_request"), "invalid_prompt"),
        (ProviderError(529, "overloaded_error", "Busy.", kind="overloaded"), "server_is_overloaded"),
        (GatewayError(502, "upstream_cut", "Cut."), "server_error"),
        (BadRequest("x", "Bad."), "server_error"),
    ],
)
def test_an_error_has_a_code_that_callers_act_on(error: GatewayError, code: str) -> None:
    assert failure(error) == {"code": code, "message": error.message}
