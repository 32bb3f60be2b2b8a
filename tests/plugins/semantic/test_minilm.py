from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from llmproxy_semantic import minilm
from llmproxy_semantic.canonical import NAME
from llmproxy_semantic.embedder import TooLong, Unavailable, Unread
from llmproxy_semantic.minilm import MiniLM, model_file


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def test_a_vector_is_of_unit_length(model: MiniLM) -> None:
    vector = model.embed("how do i reset my password?")

    assert vector.shape == (model.dims,) == (384,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_the_same_text_has_the_same_vector(model: MiniLM) -> None:
    assert np.array_equal(model.embed("what is dns"), model.embed("what is dns"))


@pytest.mark.parametrize(
    ("text", "other", "least", "most"),
    [
        ("how do i reset my password", "how can i reset my password", 0.97, 1.0),
        ("how do i reset my password", "what is the capital of france", -0.1, 0.2),
    ],
)
def test_what_means_the_same_is_near(model: MiniLM, text: str, other: str, least: float, most: float) -> None:
    assert least < float(model.embed(text) @ model.embed(other)) < most


def test_nothing_is_a_text_too(model: MiniLM) -> None:
    assert np.isfinite(model.embed("")).all()


@pytest.mark.parametrize("text", ["word " * 127, "x" * 5000])
def test_a_text_that_the_model_would_not_read_to_its_end_has_no_vector(model: MiniLM, text: str) -> None:
    with pytest.raises(TooLong):
        model.embed(text)


@pytest.mark.parametrize("text", ["is \U0001f34e sweet", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "x" * 101])
def test_a_text_with_signs_that_are_all_one_to_the_model_has_no_vector(model: MiniLM, text: str) -> None:
    with pytest.raises(Unread):
        model.embed(text)


def test_as_many_pieces_as_the_model_reads_are_embedded(model: MiniLM) -> None:
    assert model.embed("word " * 126).shape == (384,)


def test_a_file_that_was_altered_is_not_used(tmp_path: Path) -> None:
    altered = bytearray(model_file().read_bytes())
    altered[-1] ^= 1
    (tmp_path / "model.onnx").write_bytes(altered)

    with pytest.raises(Unavailable, match="SHA-256"):
        MiniLM(tmp_path / "model.onnx")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        MiniLM(tmp_path / "model.onnx")


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)

    with pytest.raises(Unavailable, match=r"llmproxy-gateway\[semantic\]"):
        MiniLM()


def test_onnxruntime_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(Unavailable, match=r"llmproxy-gateway\[semantic\]"):
        MiniLM()


def test_vectors_are_told_apart_by_model_file_and_form() -> None:
    assert f"all-minilm-l6-v2-int8/8199be6f699a395f/narrow/{NAME}" == minilm.ID
