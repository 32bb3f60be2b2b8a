"""Regular expressions that take time in proportion to the text, whatever it is: RE2, by the extra `regex`."""

from __future__ import annotations

from typing import Any


def compile_expression(text: str) -> Any:
    """Return a compiled expression.

    Raises:
        ValueError: it is none, or the package is not there; the text says what to do.
    """
    try:
        # A gateway without expressions needs no package for them.
        import re2  # noqa: PLC0415
    except ImportError:
        raise ValueError("expressions need a package: pip install 'llmproxy-gateway[regex]'") from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as fault:
        reason = fault.args[0].decode() if isinstance(fault.args[0], bytes) else str(fault)
        raise ValueError(f"{text!r} is no RE2 expression: {reason}") from None
