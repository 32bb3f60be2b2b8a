from __future__ import annotations

import pytest

from llmproxy_httpcache.dates import format_date
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.policy import Policy
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.storing import Answer, Keep, No, placed, store
from llmproxy_httpcache.terms import ALWAYS_ASK, CREDENTIALS, GUESSED, MENDED, NEVER_STALE, PART

from .stage import policy_of

NOW = 1_795_000_000.0
RFC, API = policy_of("rfc9111"), policy_of("api")
GET = Asked(method="GET")


def _answer(*raw: RawHeader, status: int = 200) -> Answer:
    return Answer(status, Fields(list(raw)), NOW, NOW)


def _control(text: bytes, *raw: RawHeader, status: int = 200) -> Answer:
    return _answer((b"Cache-Control", text), *raw, status=status)


def _kept(answer: Answer, policy: Policy = RFC, asked: Asked = GET) -> Keep:
    decision = store(policy, asked, answer)
    assert isinstance(decision, Keep), decision
    return decision


def _refused(answer: Answer, policy: Policy = RFC, asked: Asked = GET) -> str:
    decision = store(policy, asked, answer)
    assert isinstance(decision, No), decision
    return decision.reason


@pytest.mark.parametrize(
    "status", [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 503, 599]
)
def test_any_final_answer_with_a_lifetime_is_stored(status: int) -> None:
    assert _kept(_control(b"max-age=60", status=status)).terms.lifetime == 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"no-store", "no-store"),
        (b"max-age=60, No-StOrE", "no-store"),
        (b"private, max-age=60", "private"),
        (b'private="a", max-age=60', "private"),
        (b"max-age=0", "never-fresh"),
        (b"no-cache, max-age=60", "never-fresh"),
        (b"", "no-lifetime"),
    ],
)
def test_what_may_not_be_stored_or_is_of_no_use_is_not(text: bytes, reason: str) -> None:
    assert _refused(_control(text)) == reason


def test_an_interim_or_partial_answer_to_a_whole_request_is_not_stored() -> None:
    for status in (103, 206, 304):
        assert _refused(_control(b"max-age=60", status=status)) == "status"


def test_a_range_that_cannot_be_had_says_nothing_of_the_whole() -> None:
    ranged = Asked(method="GET", range=b"bytes=9-")

    for policy in (RFC, API):
        assert _refused(_control(b"max-age=60", status=416), policy, ranged) == "status"


@pytest.mark.parametrize("status", [400, 401, 403, 406, 413, 429, 431, 500, 503])
def test_what_may_be_the_fault_of_one_callers_fields_is_not_stored_for_all(status: int) -> None:
    assert _refused(_control(b"max-age=60", status=status), API) == "refused"


@pytest.mark.parametrize("status", [404, 405, 410, 414, 501])
def test_what_the_target_itself_is_refused_for_is_stored(status: int) -> None:
    assert _kept(_control(b"max-age=60", status=status), API).terms.lifetime == 60


def test_must_understand_is_obeyed_where_the_status_is_known() -> None:
    text = b"max-age=60, no-store, must-understand"

    assert _kept(_control(text)).terms.lifetime == 60
    assert _refused(_control(text, status=599)) == "must-understand"


@pytest.mark.parametrize("text", [b"public, max-age=60", b"must-revalidate, max-age=60", b"s-maxage=60"])
def test_answers_to_authorization_are_stored_by_the_origins_leave(text: bytes) -> None:
    asked = Asked(method="GET", authorized=True, credentials=((b"Authorization", b"x"),))

    assert _kept(_control(text), asked=asked).terms.flags & CREDENTIALS
    assert _refused(_control(b"max-age=60"), asked=asked) == "authorization"


def test_a_cookie_is_stored_by_the_standard_and_not_by_default() -> None:
    answer = _control(b"max-age=60", (b"Set-Cookie", b"a=b"))

    assert (b"Set-Cookie", b"a=b") in _kept(answer).fields
    assert _refused(answer, API) == "set-cookie"
    assert _refused(answer, Policy(ttl=60, override=True)) == "set-cookie"


def test_an_answer_that_can_be_validated_is_stored_without_lifetime() -> None:
    assert _kept(_answer((b"ETag", b'"a"'))).terms.lifetime == 0
    assert _kept(_control(b"no-cache", (b"ETag", b'"a"'))).terms.flags == ALWAYS_ASK | NEVER_STALE
    assert _refused(_answer((b"ETag", b'"a"'), status=502)) == "no-lifetime"


def test_a_lifetime_is_guessed_by_the_standard_and_not_by_default() -> None:
    answer = _answer((b"Last-Modified", format_date(NOW - 1000)))

    assert _kept(answer).terms.lifetime == 100
    assert _kept(answer).terms.flags & GUESSED
    assert _kept(answer, API).terms.lifetime == 0


def test_a_route_gives_lifetimes_but_never_lifts_a_ban() -> None:
    route = Policy(ttl=60, override=True)

    assert _kept(_answer(), route).terms.lifetime == 60
    assert _kept(_control(b"max-age=5"), route).terms.lifetime == 60
    assert _refused(_control(b"no-store"), route) == "no-store"
    assert _refused(_control(b"private"), route) == "private"


def test_vary_is_kept_and_a_star_refused() -> None:
    assert _kept(_control(b"max-age=60", (b"Vary", b"B, a"))).vary == (b"a", b"b")
    assert _refused(_control(b"max-age=60", (b"Vary", b"a, *"))) == "vary-any"


def test_the_first_targeted_field_that_can_be_read_speaks_alone() -> None:
    cdn, own = (b"CDN-Cache-Control", b"max-age=7"), (b"LLMProxy-Cache-Control", b"max-age=9")

    assert _kept(_control(b"no-store", cdn)).terms.lifetime == 7
    assert _kept(_control(b"no-store", cdn, own)).terms.lifetime == 9
    assert _kept(_control(b"max-age=3", (b"CDN-Cache-Control", b"max-age=1, &&"))).terms.lifetime == 3
    assert _kept(_control(b"max-age=3", (b"CDN-Cache-Control", b""))).terms.lifetime == 3
    assert _refused(_control(b"no-store", (b"CDN-Cache-Control", b'max-age="7"'))) == "no-lifetime"


def test_stale_windows_are_the_origins_or_the_routes() -> None:
    route = Policy(stale_while_revalidate=5, stale_if_error=6)

    assert _kept(_control(b"max-age=1"), route).terms.while_revalidate == 5
    assert _kept(_control(b"max-age=1, stale-while-revalidate=9"), route).terms.while_revalidate == 9
    assert _kept(_control(b"max-age=1"), route).terms.if_error == 6
    assert _kept(_control(b"max-age=0, stale-if-error=9")).terms.if_error == 9


@pytest.mark.parametrize("text", [b"must-revalidate", b"proxy-revalidate", b"s-maxage=5"])
def test_what_forbids_stale_answers_is_kept(text: bytes) -> None:
    assert _kept(_control(b"max-age=60, " + text)).terms.flags & NEVER_STALE


def test_named_fields_are_not_kept_and_a_date_is_made() -> None:
    keep = _kept(_control(b'max-age=60, no-cache="a"', (b"A", b"1"), (b"B", b"2")))

    assert [name for name, _ in keep.fields] == [b"Cache-Control", b"B", b"Date"]


def test_a_callers_no_store_is_obeyed() -> None:
    asked = Asked(method="GET", control=GET.control.__class__(no_store=True))

    assert _refused(_control(b"max-age=60"), asked=asked) == "no-store"


def test_an_answer_is_kept_for_as_long_as_it_can_be_of_use() -> None:
    assert _kept(_control(b"max-age=60, must-revalidate")).keep_for == 60
    assert _kept(_control(b"max-age=60", (b"ETag", b'"a"'))).keep_for > 86400
    assert _kept(_control(b"max-age=60")).keep_for > 86400
    assert _kept(_control(b"max-age=60"), API).keep_for == 60
    assert _kept(_control(b"max-age=60, stale-if-error=30"), API).keep_for == 90


PART_ASKED = Asked(method="GET", range=b"bytes=-5")


def _part(content_range: bytes) -> Answer:
    return _control(b"max-age=60", (b"Content-Range", content_range), status=206)


def test_a_part_is_stored_in_its_place() -> None:
    answer = _part(b"bytes 5-9/10")
    keep = placed(RFC, PART_ASKED, answer.fields, _kept(answer, asked=PART_ASKED), 5)

    assert keep is not None
    assert (keep.terms.first, keep.terms.last, keep.terms.total) == (5, 9, 10)
    assert keep.terms.flags & PART


def test_a_part_that_contradicts_itself_is_what_came_or_is_not_stored() -> None:
    answer = _part(b"bytes 4-9/10")
    keep = _kept(answer, asked=PART_ASKED)
    right = placed(RFC, PART_ASKED, answer.fields, keep, 5)

    assert right is not None
    assert (right.terms.first, right.terms.last, right.terms.total) == (4, 8, 9)
    assert right.terms.flags & MENDED
    assert placed(API, PART_ASKED, answer.fields, keep, 5) is None
    assert placed(RFC, PART_ASKED, _part(b"nonsense").fields, keep, 5) is None
