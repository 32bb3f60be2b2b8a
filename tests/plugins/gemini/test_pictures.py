from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Image, ImageAnswer, ImageRequest, Inline, Link, Losses, Picture
from llmproxy.plugin import BadRequest, ProviderError, UpstreamError
from llmproxy_gemini.pictures import (
    predicts,
    read_predict,
    read_predictions,
    write_predict,
    write_predictions,
)

PNG = Inline(media_type="image/png", data="iVBORw0KGgoAAAA=")
REQUESTS = st.builds(
    ImageRequest,
    model=st.just("imagen-4"),
    prompt=st.text(min_size=1),
    images=st.lists(st.just(Image(source=PNG)), max_size=2).map(tuple),
    n=st.integers(1, 4),
    aspect=st.sampled_from(["", "16:9"]),
    resolution=st.sampled_from(["", "2K"]),
    negative=st.sampled_from(["", "cats"]),
    seed=st.none() | st.integers(0, 99),
    format=st.sampled_from(["", "png"]),
    links=st.just(False),
)


@given(REQUESTS)
def test_a_request_comes_back_as_it_went(request: ImageRequest) -> None:
    losses = Losses()
    body = orjson.loads(orjson.dumps(write_predict(request, losses)))
    body["parameters"].pop("editMode", None)

    assert read_predict("imagen-4", body, losses) == request
    assert len(losses) == 0


@given(
    st.lists(
        st.builds(Picture, source=st.just(PNG), prompt=st.sampled_from(["", "p"])), min_size=1, max_size=3
    )
)
def test_an_answer_comes_back_as_it_went(pictures: list[Picture]) -> None:
    answer = ImageAnswer(pictures=tuple(pictures))

    assert read_predictions(orjson.loads(orjson.dumps(write_predictions(answer)))) == answer


def test_a_mask_goes_with_its_picture() -> None:
    request = ImageRequest(
        model="imagen-3", prompt="p", images=(Image(source=PNG),), mask=Image(source=PNG), n=1
    )
    body = write_predict(request, Losses())
    kinds = [each["referenceType"] for each in body["instances"][0]["referenceImages"]]

    assert kinds == ["REFERENCE_TYPE_RAW", "REFERENCE_TYPE_MASK"]
    assert body["parameters"]["editMode"] == "EDIT_MODE_INPAINT_INSERTION"
    assert read_predict("imagen-3", body, Losses()).mask == request.mask


def test_what_imagen_is_not_told_is_lost() -> None:
    losses = Losses()
    request = ImageRequest(
        model="imagen-4", prompt="p", quality="high", size="1792x1024", format="webp", compression=3
    )
    settings = write_predict(request, losses)["parameters"]

    assert settings["aspectRatio"] == "16:9"
    assert {loss.field for loss in losses} == {"quality", "size", "format", "compression"}


def test_jpeg_has_a_quality() -> None:
    request = ImageRequest(model="imagen-4", prompt="p", format="jpeg", compression=3)

    assert write_predict(request, Losses())["parameters"]["outputOptions"] == {
        "mimeType": "image/jpeg",
        "compressionQuality": 3,
    }


def test_links_are_refused() -> None:
    request = ImageRequest(model="imagen-4", prompt="p", images=(Image(source=Link(url="gs://b/a.png")),))
    with pytest.raises(BadRequest):
        write_predict(request, Losses())


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"instances": []},
        {"instances": [{"content": "an embedding"}]},
        {"instances": [{"prompt": "a"}, {"prompt": "b"}]},
        {"instances": ["a"]},
        {"instances": [{"prompt": "a", "referenceImages": [{"referenceImage": {"gcsUri": "gs://a"}}]}]},
        {"instances": [{"prompt": 7}]},
        {"instances": [{"prompt": "a"}], "parameters": 7},
    ],
)
def test_what_is_no_request_for_pictures_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read_predict("m", told, Losses())


def test_what_only_google_has_is_lost() -> None:
    losses = Losses()
    told = {
        "instances": [{"prompt": "a", "referenceImages": [{"referenceType": "REFERENCE_TYPE_STYLE"}]}],
        "parameters": {"personGeneration": "allow_all", "outputOptions": {"mimeType": "image/jpeg"}},
    }

    assert read_predict("m", told, losses).format == "jpeg"
    assert {loss.field for loss in losses} == {"parameters.personGeneration", "instances[].referenceImages[]"}


def test_pictures_that_were_held_back_are_an_error_with_the_reason() -> None:
    with pytest.raises(ProviderError, match="violated") as caught:
        read_predictions({"predictions": [{"raiFilteredReason": "It violated the guidelines."}]})

    assert caught.value.status == 400
    with pytest.raises(ProviderError):
        read_predictions({})


def test_a_link_has_no_place_in_a_prediction() -> None:
    answer = read_predictions({"predictions": [{"gcsUri": "gs://b/a.png", "mimeType": "image/png"}]})

    assert answer.pictures[0].source == Link(url="gs://b/a.png", media_type="image/png")
    with pytest.raises(UpstreamError):
        write_predictions(answer)


@pytest.mark.parametrize("told", [{"predictions": 7}, {"predictions": [7]}])
def test_what_is_no_prediction_is_a_fault(told: Any) -> None:
    with pytest.raises(ValueError, match="predictions"):
        read_predictions(told)


def test_imagen_is_asked_so_and_gemini_is_not() -> None:
    assert predicts("imagen-4.0-generate-001")
    assert predicts("publishers/google/models/imagen-3")
    assert not predicts("gemini-2.5-flash-image")
