"""WebAssembly values and their bits."""

from __future__ import annotations

import re
import struct
from typing import Union

Number = Union[int, float]

TYPES = ("i32", "i64", "f32", "f64")


class F32(float):
    """A float that is passed as an f32. Other floats are passed as an f64."""


def to_bits(value: Number) -> int:
    """Returns the bits of a value as a signed 64-bit integer."""
    if isinstance(value, F32):
        return int.from_bytes(struct.pack("<f", value), "little")
    if isinstance(value, float):
        return int.from_bytes(struct.pack("<d", value), "little", signed=True)
    if not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(f"{value} does not fit into 64 bits")
    return value - (1 << 64) if value >= 1 << 63 else int(value)


def typed_bits(value: Number, type_: str) -> int:
    """Returns the bits of a value of a WebAssembly type."""
    if type_ == "f32":
        return to_bits(F32(value))
    if type_ == "f64":
        return to_bits(float(value))
    if not isinstance(value, int):
        raise TypeError(f"expected an int for {type_}, not {value!r}")
    return to_bits(value)


def from_bits(bits: int, type_: str) -> Number:
    """Returns the value of a WebAssembly type that has these bits."""
    if type_ not in ("f32", "f64"):
        return bits
    format_ = "<fxxxx" if type_ == "f32" else "<d"
    value: float
    (value,) = struct.unpack(format_, bits.to_bytes(8, "little", signed=True))
    return value


def signature(text: str) -> tuple[list[str], list[str]]:
    """Returns the types of the parameters and of the results of a signature that the library accepted."""
    params, _, results = text.partition("->")
    return re.findall(r"\w+", params), re.findall(r"\w+", results)
