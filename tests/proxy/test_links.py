import base64

import pytest

from llmproxy import links
from llmproxy.canonical import (
    Audio,
    CountRequest,
    Document,
    EmbedRequest,
    FileRef,
    GenerateRequest,
    Image,
    ImageRequest,
    Inline,
    Link,
    Message,
    Text,
    ToolResult,
)
from llmproxy.dialects import Untranslated
from llmproxy.fetching import Fetched, UnreachableUrl
from llmproxy.fetchpolicy import FetchingConfig
from llmproxy.links import with_bytes
from llmproxy.route import Route
from llmproxy.settings import Match

PNG = b"\x89PNG\r\n\x1a\n"
ROUTE = Route("r", Match())
A, B = Link("https://a.example/1.png"), Link("https://b.example/2.pdf")


class Bytes(Untranslated):
    """An upstream that takes no URL, but for one kind."""

    def __init__(self, *, but=""):
        self.but = but

    def fetches(self, link, kind):
        return kind != self.but


@pytest.fixture
def web(monkeypatch):
    """What was fetched, and how, in place of the web."""
    asked = []

    async def fetch(url, **options):
        asked.append((url, options))
        if "missing" in url:
            raise UnreachableUrl("gone")
        return Fetched("image/png", PNG)

    monkeypatch.setattr(links, "fetch_public", fetch)
    return asked


def request(*blocks):
    return GenerateRequest(model="m", messages=(Message("user", (Text("look"),)), Message("user", blocks)))


def inline(data=PNG):
    return Inline("image/png", base64.b64encode(data).decode())


async def test_links_become_bytes_wherever_they_stand(web):
    asked = request(Image(A, detail="low"), ToolResult("c", (Text("x"), Document(B, title="t"))), Text("y"))

    given = await with_bytes(asked, Bytes(), ROUTE, {})

    assert given == request(
        Image(inline(), detail="low"), ToolResult("c", (Text("x"), Document(inline(), title="t"))), Text("y")
    )
    assert {url: options["media_types"] for url, options in web} == {
        A.url: ("image/*",),
        B.url: ("application/pdf", "text/*"),
    }


async def test_what_the_upstream_takes_stays_a_link(web):
    asked = request(Image(A), Document(B), Image(FileRef("f", "openai")), Audio(inline()), Document(text="t"))

    assert await with_bytes(asked, Untranslated(), ROUTE, {}) is asked
    given = await with_bytes(asked, Bytes(but="document"), ROUTE, {})

    assert given.messages[1].content == (Image(inline()), *asked.messages[1].content[1:])
    assert [url for url, _ in web] == [A.url]


async def test_each_url_is_fetched_once_and_kept_for_the_next_attempt(web):
    fetched = {}
    asked = request(Image(A), Image(A))

    first = await with_bytes(asked, Bytes(), ROUTE, fetched)
    again = await with_bytes(asked, Bytes(), ROUTE, fetched)

    assert first == again
    assert len(web) == 1


async def test_a_count_is_of_what_would_be_sent(web):
    given = await with_bytes(CountRequest(request=request(Image(A))), Bytes(), ROUTE, {})

    assert given == CountRequest(request=request(Image(inline())))


async def test_texts_to_embed_have_no_links(web):
    asked = EmbedRequest(model="m", inputs=("a",))

    assert await with_bytes(asked, Bytes(), ROUTE, {}) is asked


async def test_an_operator_may_switch_fetching_off(web):
    route = Route("r", Match(), fetching=FetchingConfig(enabled=False))
    asked = request(Image(A))

    assert await with_bytes(asked, Bytes(), route, {}) is asked
    assert web == []


async def test_a_url_that_cannot_be_had_is_the_callers_fault(web):
    with pytest.raises(UnreachableUrl, match="gone"):
        await with_bytes(request(Image(A), Image(Link("https://missing.example/"))), Bytes(), ROUTE, {})


async def test_urls_are_bounded_in_number(web):
    blocks = [Image(Link(f"https://a.example/{number}")) for number in range(17)]

    with pytest.raises(UnreachableUrl, match="More than 16"):
        await with_bytes(request(*blocks), Bytes(), ROUTE, {})
    assert web == []
    assert await with_bytes(request(*blocks[:16]), Bytes(), ROUTE, {})


async def test_what_they_lead_to_is_bounded_together(web):
    route = Route("r", Match(), max_body=2 * len(PNG))
    blocks = [Image(Link(f"https://a.example/{number}")) for number in range(3)]

    assert await with_bytes(request(*blocks[:2]), Bytes(), route, {})
    with pytest.raises(UnreachableUrl, match="larger than 16 bytes together"):
        await with_bytes(request(*blocks), Bytes(), route, {})


async def test_a_url_that_stands_often_counts_as_often(web):
    route = Route("r", Match(), max_body=2 * len(PNG))

    assert await with_bytes(request(Image(A), Image(A)), Bytes(), route, {})
    with pytest.raises(UnreachableUrl, match="larger than 16 bytes together"):
        await with_bytes(request(*[Image(A)] * 3), Bytes(), route, {})
    with pytest.raises(UnreachableUrl, match="larger than 16 bytes together"):
        await with_bytes(request(*[Image(A)] * 3), Bytes(), route, {A.url: inline()})


async def test_the_operators_rules_reach_the_fetch(web):
    route = Route("r", Match(), fetching=FetchingConfig(max_size=7, timeout=3, deny=("a.example",)))

    await with_bytes(request(Image(A)), Bytes(), route, {})

    [(_, options)] = web
    assert (options["limit"], options["timeout"]) == (7, 3)
    assert options["policy"].ports == {80, 443}


async def test_pictures_that_another_is_made_from_are_fetched(web):
    asked = ImageRequest(
        model="m", prompt="p", images=(Image(A), Image(Inline("image/png", "AA"))), mask=Image(A)
    )

    got = await with_bytes(asked, Bytes(), ROUTE, {})

    data = Inline("image/png", base64.b64encode(PNG).decode())
    assert got.images == (Image(data), Image(Inline("image/png", "AA")))
    assert got.mask == Image(data)
    assert [url for url, _ in web] == [A.url]


async def test_they_stay_where_links_are_taken_or_nothing_may_be_fetched(web):
    asked = ImageRequest(model="m", prompt="p", images=(Image(A),))
    closed = Route("r", Match(), fetching=FetchingConfig(enabled=False))

    assert await with_bytes(asked, Bytes(but="reference"), ROUTE, {}) is asked
    assert await with_bytes(asked, Bytes(), closed, {}) is asked
    assert web == []


async def test_too_many_or_too_large_ones_are_refused(web):
    many = tuple(Image(Link(f"https://a.example/{number}")) for number in range(links.MOST + 1))
    small = Route("r", Match(), max_body=len(PNG))

    with pytest.raises(UnreachableUrl, match="More than"):
        await with_bytes(ImageRequest(model="m", prompt="p", images=many), Bytes(), ROUTE, {})
    with pytest.raises(UnreachableUrl, match="larger than"):
        await with_bytes(ImageRequest(model="m", prompt="p", images=many[:2]), Bytes(), small, {})
