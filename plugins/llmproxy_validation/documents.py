"""Files that hold schemas and OpenAPI documents: JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from llmproxy_validation.schemas import BadSchema


def load_document(path: str) -> Mapping[str, Any]:
    """Read a file whose whole is a mapping.

    Raises:
        BadSchema: it cannot be read, or holds something else.
    """
    try:
        data = Path(path).read_bytes()
        value = _json(data) if path.endswith(".json") else _yaml(data)
    except (OSError, ValueError) as fault:
        raise BadSchema(f"{path}: {str(fault).partition(chr(10))[0]}") from None
    if not isinstance(value, dict):
        raise BadSchema(f"{path}: holds no mapping")
    return value


def _json(data: bytes) -> Any:
    return orjson.loads(data)


def _yaml(data: bytes) -> Any:
    # Imported when a file is YAML.
    import yaml  # noqa: PLC0415

    try:
        value = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except yaml.YAMLError as fault:
        raise ValueError(f"is no YAML: {fault}") from None
    # Dates and numbers that are keys become what JSON has for them.
    try:
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except orjson.JSONEncodeError as fault:
        raise ValueError(f"holds what JSON has not: {fault}") from None
