import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.urls import LONGEST_PREFIX, MOST_SEGMENTS, Location, locate, prefixes

SAME = [
    "https://www.example.com/foo/bar",
    "HTTPS://www.EXAMPLE.com:443/foo/bar",
    "https://www.example.com/fo%6f/bar",
    "https://www.example.com/fo%6F/bar",
    "https://www.example.com/../foo/bar",
    "https://www.example.com/./foo/x/../bar",
    "https://www.example.com:/foo/bar",
    "https://user@www.example.com/foo/bar#part",
]
OTHERS = [
    "https://www.example.com/foo/bar/baz",
    "https://www.example.com/foo/bar/",
    "http://www.example.com/foo/bar",
    "https://example.com/foo/bar",
    "https://www.example.com/foo/bar?baz",
    "https://www.example.com/foo/bar?",
    "https://www.example.com:8080/foo/bar",
    "https://www.example.com/foo%2Fbar",
]


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_place_are_one(url: str) -> None:
    assert locate(url) == Location("https://www.example.com:443", "/foo/bar")


@pytest.mark.parametrize("url", OTHERS)
def test_other_places_are_others(url: str) -> None:
    assert locate(url) != locate(SAME[0])


def test_a_path_has_no_origin_and_keeps_its_query() -> None:
    assert locate("/a?b=c%2f?d") == Location("", "/a", "b=c%2F?d")
    assert locate("/a?b").target == "/a?b"


def test_a_host_alone_is_its_root() -> None:
    assert locate("http://a.test") == locate("http://a.test/") == Location("http://a.test:80", "/")


def test_an_iri_is_its_uri() -> None:
    assert locate("http://bücher.test/ä") == locate("http://xn--bcher-kva.test/%C3%A4")


@pytest.mark.parametrize("text", ["", "a/b", "http://", "http:///a", "http://a.test:x/", "mailto:a@b.test"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        locate(text)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", [""]),
        ("/a", ["", "/a"]),
        ("/a/", ["", "/a"]),
        ("/a/b", ["", "/a", "/a/b"]),
        ("/a//b", ["", "/a", "/a/", "/a//b"]),
    ],
)
def test_a_prefix_ends_where_a_segment_ends(path: str, found: list[str]) -> None:
    assert prefixes(path) == found


def test_prefixes_are_few_and_short_whatever_the_path() -> None:
    assert len(prefixes("/a" * 1000)) == MOST_SEGMENTS + 1
    assert prefixes("/a/" + "b" * 2000) == ["", "/a"]


@given(st.text(max_size=40).map(lambda text: "/" + text))
def test_reading_a_place_again_changes_nothing(url: str) -> None:
    once = locate(url)

    assert locate(once.target) == once
    assert once.path.startswith("/")
    assert max(map(len, prefixes(once.path))) <= LONGEST_PREFIX
