"""The C library: finding it, and calling its primitives, which have only 64-bit integers."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from ctypes import c_char_p, c_int64
from typing import Iterable, Union

from ._errors import Error, ErrorCode

PathLike = Union[str, "os.PathLike[str]"]

_lock = threading.Lock()
_library: ctypes.CDLL | None = None
_path: str | None = None

raised = threading.local()
"""The exception of the host function that ended the call in progress on this thread."""


def load_library(path: PathLike | None = None) -> None:
    """Opens the C library: the file `path`, else the one that the environment variable DYNLOAD_LIBRARY names, else the
    one that the dynamic loader finds.

    It is called without a path when the library is first needed. A process has one library: another path is an error.

    Raises OSError if there is no such library.
    """
    global _library, _path
    with _lock:
        wanted = None if path is None else os.path.abspath(path)
        if _library is None:
            _path = wanted or os.environ.get("DYNLOAD_LIBRARY") or None
            _library = _open([_path] if _path else _names())
        elif wanted is not None and wanted != _path:
            raise OSError(f"cannot use `{wanted}`: the library `{_path or 'of the loader'}` is in use")


def _names() -> list[str]:
    if sys.platform == "win32":
        return ["dynload.dll"]
    if sys.platform == "darwin":
        return ["libdynload.0.1.dylib"]
    return ["libdynload.so.0.1"]


def _open(names: list[str]) -> ctypes.CDLL:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            reason = error
    raise OSError(
        f"the dynload library cannot be opened ({reason}): pass its path to dynload.load_library, set DYNLOAD_LIBRARY, or "
        "install it with `cargo xtask install` where the loader finds it, and run ldconfig"
    )


def text(value: str | os.PathLike[str]) -> bytes:
    """Encodes a text or a path for the library."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError(f"{value!r} contains a NUL character")
    return encoded


def call(name: str, *args: int | bytes | None) -> int:
    """Calls the primitive `vais_name`; bytes are passed by their address, None as 0."""
    if _library is None:
        load_library()
    function = getattr(_library, "vais_" + name)
    function.restype = c_int64
    passed = [c_int64(arg) if isinstance(arg, int) else c_char_p(arg) for arg in args]
    result: int = function(*passed)
    return result


def checked(name: str, *args: int | bytes | None, failure: int = 0) -> int:
    """Calls a primitive that returns `failure` if it fails, and then raises its error."""
    result = call(name, *args)
    if result == failure:
        raise_error()
    return result


def last_error() -> Error | None:
    """Returns the error of this thread's last call."""
    code = call("load_error_code")
    if code == 0:
        return None
    size = call("load_error_copy", 0, 0)
    buffer = ctypes.create_string_buffer(size)
    call("load_error_copy", ctypes.addressof(buffer), size)
    return Error(code, buffer.value.decode(errors="replace"))


def raise_error() -> None:
    """Raises the error of this thread's last call, if there is one."""
    error = last_error()
    cause: BaseException | None = getattr(raised, "exception", None)
    raised.exception = None
    if error is None:
        return
    if error.code != ErrorCode.HOST_FUNCTION or cause is None:
        raise error
    if not isinstance(cause, Exception):
        # Such as KeyboardInterrupt.
        raise cause
    raise error from cause


def text_at(address: int) -> str | None:
    """Returns the text at an address, None for 0."""
    if address == 0:
        return None
    return os.fsdecode(ctypes.string_at(address))


def taken(result: int) -> bytes:
    """Returns the bytes of a result of a call with bytes, and frees it."""
    try:
        return ctypes.string_at(result, checked("wasm_bytes_size", result, failure=-1))
    finally:
        call("wasm_bytes_free", result)


def called_with(name: str, *args: int | bytes, inputs: Iterable[bytes | bytearray | memoryview]) -> bytes:
    """Calls a primitive that also takes inputs, their lengths and their number, and returns the bytes of its result."""
    # Not `bytes`, which makes zeros of a number.
    kept = [memoryview(each).tobytes() for each in inputs]
    addresses = (ctypes.c_char_p * len(kept))(*kept)
    lengths = (ctypes.c_int64 * len(kept))(*map(len, kept))
    return taken(checked(name, *args, ctypes.addressof(addresses), ctypes.addressof(lengths), len(kept)))


def decoded(name: str, result: bytes) -> str:
    """Returns the text of the result of the function `name`."""
    try:
        return result.decode()
    except UnicodeDecodeError as error:
        reason = f"`{name}` returned a result that is not UTF-8 (from byte {error.start})"
        raise Error(ErrorCode.PLUGIN, reason) from error
