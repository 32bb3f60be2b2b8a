"""The model's file (ONNX) rewritten so that it multiplies by its weights as they are: whole numbers of one byte. Pure.

Theory. The file keeps weights as int8, and widens them to floats once it is loaded: each text then reads 42 MB of them,
more than a processor's caches hold, which takes half of its time and makes all else on that core slower. onnxruntime
has a product by narrow weights (`MatMulNBits` of its own operators), which this puts in place of each
`MatMul(x, Mul(Cast(q), scale))`. What is multiplied is rounded to a byte too, by blocks of so few numbers that the
cosines of two texts that are near change by a thousandth at most: 0.0003 on the mean.

Sources: onnx.proto (fields), onnxruntime's description of its contrib operators (layout of the weights).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

#: Numbers that share one scale; the operator has no smaller blocks.
BLOCK: Final = 16
#: What is multiplied is rounded to whole numbers of one byte: level 4 of the operator.
_LEVEL: Final = 4
#: The operator's weights have no sign: this one is zero.
_ZERO: Final = 128
_DOMAIN: Final = b"com.microsoft"

# Wire types, and numbers of the fields that are read or written here, by message.
_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5
_GRAPH, _OPSETS = 7, 8
_DOMAIN_OF, _VERSION = 1, 2
_NODE, _TENSOR = 1, 5
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_DIMS, _TYPE, _TENSOR_NAME, _RAW = 1, 2, 8, 9
_ATTRIBUTE_NAME, _INT, _ATTRIBUTE_TYPE = 1, 3, 20
_FLOATS, _BYTES, _IS_INT = 1, 2, 2


class _Field(NamedTuple):
    """One field of a message: its number, its wire type, a number or bytes."""

    number: int
    wire: int
    value: int | bytes


class _Weights(NamedTuple):
    """The right side of a product: whole numbers, rows by columns, and a scale for each column."""

    whole: np.ndarray[tuple[int, int], np.dtype[np.int8]]
    scales: np.ndarray[tuple[int], np.dtype[np.float32]]


def narrowed(model: bytes) -> bytes:
    """Return the file of a model whose products by int8 weights are such."""
    fields = [
        _field(_GRAPH, _narrowed(list(_fields(field.value)))) if field.number == _GRAPH else field
        for field in _fields(model)
    ]
    return _packed([*fields, _field(_OPSETS, _packed([_field(_DOMAIN_OF, _DOMAIN), _field(_VERSION, 1)]))])


def _narrowed(graph: list[_Field]) -> bytes:
    weights = _weights(graph)
    kept = [field for field in graph if not _names(field) & _replaced(weights)]
    return _packed([_product(field, weights) for field in kept] + list(_tensors(weights)))


def _weights(graph: list[_Field]) -> dict[bytes, _Weights]:
    """Return what products have on their right side, by its name, where that is int8 and scales."""
    tensors = {_first(field, _TENSOR_NAME): field for field in graph if field.number == _TENSOR}
    found = {}
    for field in graph:
        if field.number == _NODE and _first(field, _OPERATOR) == b"MatMul":
            name = _all(field, _INPUT)[1]
            whole, scale = tensors.get(name + b"_q"), tensors.get(name + b"_scale")
            if whole is not None and scale is not None:
                numbers = np.frombuffer(_first(whole, _RAW), np.int8).reshape(_all(whole, _DIMS))
                found[name] = _Weights(numbers, np.frombuffer(_first(scale, _RAW), np.float32))
    return found


def _replaced(weights: Iterable[bytes]) -> set[bytes]:
    """Return the names of what nobody needs any more: weights, and what they were made of."""
    return {name + ending for name in weights for ending in (b"", b"_f", b"_q", b"_scale")}


def _names(field: _Field) -> set[bytes]:
    """Return what a node of a graph makes, or what its tensor is called."""
    if field.number == _NODE:
        return set(_all(field, _OUTPUT))
    return {_first(field, _TENSOR_NAME)} if field.number == _TENSOR else set()


def _product(field: _Field, weights: dict[bytes, _Weights]) -> _Field:
    """Return a node of a graph, another if it multiplies by weights."""
    inputs = _all(field, _INPUT) if field.number == _NODE else []
    if len(inputs) < 2 or inputs[1] not in weights:  # two sides of a product
        return field
    rows, columns = weights[inputs[1]].whole.shape
    settings = {"K": rows, "N": columns, "bits": 8, "block_size": BLOCK, "accuracy_level": _LEVEL}
    return _field(
        _NODE,
        _packed(
            [
                *(
                    _field(_INPUT, name)
                    for name in (inputs[0], inputs[1] + b"_blocks", inputs[1] + b"_scales")
                ),
                _field(_OUTPUT, _first(field, _OUTPUT)),
                _field(_OPERATOR, b"MatMulNBits"),
                *(_setting(name, value) for name, value in settings.items()),
                _field(_NODE_DOMAIN, _DOMAIN),
            ]
        ),
    )


def _setting(name: str, value: int) -> _Field:
    fields = [_field(_ATTRIBUTE_NAME, name.encode()), _field(_INT, value), _field(_ATTRIBUTE_TYPE, _IS_INT)]
    return _field(_ATTRIBUTE, _packed(fields))


def _tensors(weights: dict[bytes, _Weights]) -> Iterator[_Field]:
    """Give the weights as the operator reads them: column by column, in blocks, each with its scale."""
    for name, (whole, scales) in weights.items():
        rows, columns = whole.shape
        blocks = (whole.T.astype(np.int16) + _ZERO).astype(np.uint8)
        yield _tensor(name + b"_blocks", _BYTES, (columns, rows // BLOCK, BLOCK), blocks.tobytes())
        each = np.repeat(scales, rows // BLOCK)
        yield _tensor(name + b"_scales", _FLOATS, (columns, rows // BLOCK), each.tobytes())


def _tensor(name: bytes, kind: int, dims: tuple[int, ...], raw: bytes) -> _Field:
    fields = [*(_field(_DIMS, dim) for dim in dims), _field(_TYPE, kind), _field(_TENSOR_NAME, name)]
    return _field(_TENSOR, _packed([*fields, _field(_RAW, raw)]))


def _all(field: _Field, number: int) -> list[Any]:
    """Return the values of the fields of one number in a message."""
    return [each.value for each in _fields(field.value) if each.number == number]


def _first(field: _Field, number: int) -> bytes:
    found: bytes = _all(field, number)[0]
    return found


def _field(number: int, value: int | bytes) -> _Field:
    return _Field(number, _VARINT if isinstance(value, int) else _SIZED, value)


def _fields(message: Any) -> Iterator[_Field]:
    """Give the fields of a message (Protocol Buffers, encoding)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield _Field(number, wire, value)
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
        if wire == _SIZED:
            size, at = _varint(message, at)
        yield _Field(number, wire, message[at : at + size])
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number of as many bytes as it needs, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # the last one has no sign that more follow
            return value, at
        shift += 7


def _packed(fields: Iterable[_Field]) -> bytes:
    """Write a message."""
    parts: list[bytes] = []
    for number, wire, value in fields:
        parts.append(_written(number << 3 | wire))
        if isinstance(value, int):
            parts.append(_written(value))
        else:
            parts += [_written(len(value)), value] if wire == _SIZED else [value]
    return b"".join(parts)


def _written(value: int) -> bytes:
    parts = bytearray()
    while value > 127:  # seven bits a byte
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
