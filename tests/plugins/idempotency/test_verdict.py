from __future__ import annotations

import pytest

from llmproxy_idempotency import verdict
from llmproxy_idempotency.record import Record

CLAIMED = Record.claimed(b"print", "host.1.abc", b"nonce", 0)
SENT = CLAIMED.sent()


@pytest.mark.parametrize(
    ("record", "alive", "told"),
    [
        (CLAIMED, True, "idempotency_in_flight"),
        (CLAIMED, False, "idempotency_in_flight"),
        (SENT, True, "idempotency_in_flight"),
        (SENT, False, "idempotency_outcome_unknown"),
        (SENT.unknown("upstream_reset"), True, "idempotency_outcome_unknown"),
        (SENT.dropped(201, "too_large"), True, "idempotency_result_not_kept"),
    ],
)
def test_each_state_has_its_word(record: Record, alive: bool, told: str) -> None:
    error = verdict.refusal(record, alive=alive)

    assert error is not None
    assert (error.status, error.code) == (409, told)


def test_what_is_kept_is_not_refused() -> None:
    assert verdict.refusal(SENT.kept(200, (), b"", apart=False), alive=False) is None


def test_sdks_are_told_what_passes_and_what_does_not() -> None:
    assert verdict.in_flight().retry_after == 1
    for error in (verdict.outcome_unknown("x"), verdict.not_kept(201), verdict.not_resent()):
        assert ("x-should-retry", "false") in error.headers
        assert error.retry_after is None


def test_an_unknown_outcome_says_how_to_go_on() -> None:
    for reason in ("upstream_reset", "record_lost", "record_unreadable"):
        assert "new key" in verdict.outcome_unknown(reason).message


def test_refusals_name_the_header_that_is_configured() -> None:
    for error in (
        verdict.missing("X-Once"),
        verdict.reused("X-Once"),
        verdict.malformed("X-Once", "is empty"),
    ):
        assert "X-Once" in error.message
        assert error.status in (400, 422)
