import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.forwarded import TrustedProxies
from llmproxy.messages import Headers

PROXY, CALLER = "10.0.0.1", "203.0.113.7"
TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8::/32"])


def resolve(*fields, peer=PROXY, scheme="http", trusted=TRUSTED):
    return trusted.resolve(peer, scheme, Headers.of(fields))


def test_only_configured_proxies_make_a_set_that_counts():
    assert TRUSTED
    assert not TrustedProxies([])


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("", True),
        ("unknown", False),
    ],
)
def test_an_address_is_trusted_by_its_network(address, trusted):
    assert TRUSTED.trusts(address) is trusted


def test_a_stranger_is_not_believed():
    fields = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=1.2.3.4")]

    assert resolve(*fields, peer=CALLER) == (CALLER, "http")


def test_without_a_word_the_proxy_itself_asks():
    assert resolve() == (PROXY, "http")


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (CALLER, CALLER),
        (f"{CALLER}, 10.0.0.2, 10.0.0.3", CALLER),
        (f"10.0.0.9, {CALLER}", CALLER),
        (f"1.2.3.4, {CALLER}, 10.0.0.2", CALLER),
        ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
        (f"{CALLER}:4711", CALLER),
        ("[2001:db9::1]:4711", "2001:db9::1"),
        ("2001:db9::1", "2001:db9::1"),
        (f"{CALLER}, ,", CALLER),
        ("", PROXY),
        ("unknown", ""),
        (f"{CALLER}, unknown, 10.0.0.2", ""),
    ],
)
def test_x_forwarded_for_is_read_from_the_right_up_to_the_first_stranger(chain, caller):
    assert resolve(("X-Forwarded-For", chain))[0] == caller


def test_several_lines_are_one_chain():
    fields = [("X-Forwarded-For", "1.2.3.4"), ("x-forwarded-for", CALLER), ("X-Forwarded-For", "10.0.0.2")]

    assert resolve(*fields)[0] == CALLER


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (f"for={CALLER};proto=https;by=10.0.0.1", (CALLER, "https")),
        ('For="[2001:db9::1]:4711"; Proto=HTTPS', ("2001:db9::1", "https")),
        (f'for="{CALLER}:80";host="a,b;for=9.9.9.9"', (CALLER, "http")),
        (f"for={CALLER};proto=https, for=10.0.0.2;proto=http", (CALLER, "https")),
        (f"for=1.2.3.4;proto=https, for={CALLER}", (CALLER, "http")),
        ("for=1.2.3.4, for=_hidden", ("", "http")),
        ("for=1.2.3.4, proto=https", ("", "https")),
        ("for=1.2.3.4;proto=gopher", ("1.2.3.4", "http")),
        (f"for={CALLER},", (CALLER, "http")),
    ],
)
def test_forwarded_is_read_likewise(chain, caller):
    """RFC 7239 §4."""
    assert resolve(("Forwarded", chain)) == caller


@pytest.mark.parametrize(
    ("told", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("https, http", "http"), ("gopher", "http"), ("", "http")],
)
def test_the_nearest_proxy_tells_the_scheme(told, scheme):
    assert resolve(("X-Forwarded-Proto", told)) == (PROXY, scheme)
    assert resolve(("X-Forwarded-For", CALLER), ("X-Forwarded-Proto", told)) == (CALLER, scheme)


def test_a_made_up_forwarded_does_not_outweigh_what_the_proxy_wrote():
    fields = [("Forwarded", "for=10.0.0.9;proto=https"), ("X-Forwarded-For", CALLER)]

    assert resolve(*fields) == (CALLER, "http")


ANYTHING = st.text(st.sampled_from('for=,;"\\ 10.29[]:proxy_h'), max_size=40)
APPENDED = st.sampled_from([f"for={CALLER}", f'for="{CALLER}:80";by="a,b"', f'by="[::1]";for="{CALLER}"'])


@given(ANYTHING, APPENDED, st.booleans())
def test_no_forwarded_that_a_caller_makes_up_hides_what_the_proxy_appended(made_up, appended, one_line):
    lines = [f"{made_up}, {appended}"] if one_line else [made_up, appended]

    assert resolve(*[("Forwarded", line) for line in lines])[0] == CALLER


@given(ANYTHING, st.booleans())
def test_no_x_forwarded_for_that_a_caller_makes_up_hides_what_the_proxy_appended(made_up, one_line):
    lines = [f"{made_up}, {CALLER}"] if one_line else [made_up, CALLER]

    assert resolve(*[("X-Forwarded-For", line) for line in lines])[0] == CALLER


@given(ANYTHING, ANYTHING, ANYTHING)
def test_a_stranger_is_never_believed(forwarded, hops, proto):
    fields = [("Forwarded", forwarded), ("X-Forwarded-For", hops), ("X-Forwarded-Proto", proto)]

    assert resolve(*fields, peer=CALLER) == (CALLER, "http")
