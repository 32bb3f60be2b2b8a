from __future__ import annotations

from llmproxy_validation.faults import Fault
from llmproxy_validation.refusals import invalid, invalid_reply, too_large, unknown_operation, wrong_media


def test_faults_are_told_one_by_one_and_together() -> None:
    error = invalid([Fault("body", "/a", "lacks 'b'"), Fault("query", "/n", "is missing")])

    assert (error.status, error.code, error.param) == (400, "invalid_request", "/a")
    assert error.message == "The request is not valid: body/a lacks 'b'; query/n is missing."
    assert error.members == {
        "errors": [
            {"in": "body", "pointer": "#/a", "detail": "lacks 'b'"},
            {"in": "query", "pointer": "#/n", "detail": "is missing"},
        ]
    }


def test_what_the_document_does_not_know_is_told_apart() -> None:
    assert unknown_operation("GET", ()).status == 404
    refused = unknown_operation("GET", ("POST", "PUT"))
    assert (refused.status, refused.headers) == (405, (("Allow", "POST, PUT"),))


def test_other_refusals_have_their_status() -> None:
    assert [wrong_media(["a/b"]).status, too_large(9).status, invalid_reply("x").status] == [415, 413, 502]
    assert "a/b" in wrong_media(["a/b"]).message
