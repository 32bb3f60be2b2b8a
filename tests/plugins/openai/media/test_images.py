from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.openai.media.test_forms import FILES

from llmproxy.canonical import FileRef, Image, ImageAnswer, ImageRequest, Inline, Link, Losses, Picture
from llmproxy.plugin import BadField, Parts, Quirks, Usage
from llmproxy_openai.media.forms import Sent
from llmproxy_openai.media.images import (
    Manner,
    decode_images,
    encode_images,
    read_images,
    write_image_events,
    write_images,
)

PNG = Inline(media_type="image/png", data="iVBORw0KGgoAAAANSUhEUgAAAAE=")
JPEG = Inline(media_type="image/jpeg", data="/9j/4AAQSkZJRg==")
WORDS = st.sampled_from(["", "low", "auto"])
REQUESTS = st.builds(
    ImageRequest,
    model=st.just("m"),
    prompt=st.text(min_size=1),
    images=st.lists(
        st.sampled_from(
            [Image(PNG), Image(Link(url="https://e.com/a")), Image(FileRef(id="f", dialect="openai"))]
        ),
        max_size=2,
    ).map(tuple),
    n=st.none() | st.integers(1, 9),
    size=st.sampled_from(["", "auto", "1024x1024"]),
    quality=WORDS,
    background=WORDS,
    style=WORDS,
    moderation=WORDS,
    format=st.sampled_from(["", "png", "webp"]),
    compression=st.none() | st.integers(0, 100),
    seed=st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
    links=st.booleans(),
    user=st.sampled_from(["", "u"]),
)


@given(REQUESTS)
def test_a_request_comes_back_as_it_went(request: ImageRequest) -> None:
    losses = Losses()
    path, body = encode_images(request, "m", losses)
    again = decode_images(Sent(orjson.loads(orjson.dumps(body)), {}), losses)

    assert again == request
    assert path == ("/images/edits" if request.images else "/images/generations")
    assert len(losses) == 0


@given(
    st.lists(st.sampled_from([PNG, JPEG, Link(url="https://e.com/a")]), min_size=1, max_size=3),
    st.integers(1, 9**9),
    st.none() | st.just(Usage(5, 0, 0, 7, parts=Parts(input_image=2, output_image=7))),
)
def test_an_answer_comes_back_as_it_went(sources: list[Any], created: int, usage: Usage | None) -> None:
    answer = ImageAnswer(created=created, pictures=tuple(Picture(each) for each in sources), usage=usage)

    assert read_images(orjson.loads(orjson.dumps(write_images(answer, Manner(), 1)))) == answer


@given(FILES)
def test_a_form_brings_pictures_and_a_mask(file: Any) -> None:
    sent = Sent({"model": "m", "prompt": "p", "n": "2"}, {"image": [file, file], "mask": [file]})
    request = decode_images(sent, Losses())

    assert request.n == 2
    assert request.images == (Image(file.inline()),) * 2
    assert request.mask == Image(file.inline())


def test_pictures_come_as_xai_and_openai_have_them_in_json() -> None:
    url = f"data:image/png;base64,{PNG.data}"
    shapes: list[Any] = [
        {"images": [{"image_url": url}]},
        {"images": [{"type": "image_url", "url": url}]},
        {"image": {"url": url}},
        {"images": [{"image_url": {"url": url}}]},
    ]

    for shape in shapes:
        request = decode_images(Sent({"model": "m", "prompt": "p", **shape}, {}), Losses())
        assert request.images == (Image(PNG),)


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "p", "n": "x"}, "n"),
        ({"prompt": "p", "response_format": "svg"}, "response_format"),
        ({"prompt": "p", "images": [{}]}, "images[].image_url"),
        ({"prompt": "p", "images": "x"}, "images"),
        ({"prompt": "p", "size": 1024}, "size"),
    ],
)
def test_what_is_broken_is_refused(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadField) as caught:
        decode_images(Sent({"model": "m", **told}, {}), Losses())

    assert caught.value.param == param


def test_a_shape_is_told_as_the_nearest_size() -> None:
    losses = Losses()
    shapes = ["1:1", "16:9", "9:16", "4:3", "odd"]
    sizes = [
        encode_images(ImageRequest(model="m", prompt="p", aspect=each), "m", losses)[1]["size"]
        for each in shapes
    ]
    large = encode_images(ImageRequest(model="m", prompt="p", aspect="16:9", resolution="4K"), "m", losses)[1]

    assert sizes == ["1024x1024", "1536x1024", "1024x1536", "1536x1024", "auto"]
    assert large["size"] == "3840x2160"
    assert "resolution" not in large
    assert "aspect" in losses


def test_models_that_send_data_are_not_asked_how() -> None:
    asked = [
        encode_images(ImageRequest(model=each, prompt="p"), each, Losses())[1]
        for each in ("gpt-image-2", "x")
    ]

    assert "response_format" not in asked[0]
    assert asked[1]["response_format"] == "b64_json"


def test_xai_takes_shapes_in_place_of_sizes_and_pictures_by_url() -> None:
    losses = Losses()
    quirks = Quirks(images="url", refused=("size", "quality"))
    request = ImageRequest(model="m", prompt="p", images=(Image(PNG),), size="1536x1024", quality="high")
    _, body = encode_images(request, "grok", losses, quirks)

    assert body == {
        "model": "grok",
        "prompt": "p",
        "aspect_ratio": "3:2",
        "response_format": "b64_json",
        "images": [{"url": f"data:image/png;base64,{PNG.data}"}],
    }
    assert {loss.field for loss in losses} == {"size", "quality"}


def test_a_link_that_is_wanted_holds_the_picture() -> None:
    answer = ImageAnswer(pictures=(Picture(PNG, "a revised prompt"),))
    told = write_images(answer, Manner(links=True), 5)

    assert told["created"] == 5
    assert told["data"] == [
        {"url": f"data:image/png;base64,{PNG.data}", "revised_prompt": "a revised prompt"}
    ]


def test_events_end_with_what_was_used() -> None:
    answer = ImageAnswer(created=1, pictures=(Picture(PNG), Picture(JPEG)), usage=Usage(3, 0, 0, 4))
    events = write_image_events(answer, Manner(streamed=True, edits=True), 9).split(b"\n\n")
    told = [orjson.loads(event.split(b"data: ")[1]) for event in events if event]

    assert [each["type"] for each in told] == ["image_edit.completed"] * 2
    assert [each["output_format"] for each in told] == ["png", "jpeg"]
    assert ["usage" in each for each in told] == [False, True]
    assert told[1]["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("body", [{}, {"data": [7]}, {"data": [{}]}, {"data": None}])
def test_what_holds_no_pictures_is_a_fault(body: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_images(body)
