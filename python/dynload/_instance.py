"""Instances of WebAssembly plugins."""

from __future__ import annotations

import ctypes
from typing import NamedTuple, Sequence

from ._closing import Closing
from ._library import call, called_with, checked, decoded, raise_error, text
from ._values import TYPES, Number, from_bits, to_bits


class Usage(NamedTuple):
    """What the last call of an instance used."""

    fuel: int
    """WebAssembly operators, and the host's work for the plugin."""
    peak_memory_bytes: int
    """The peak size of its memories and tables since it was loaded or reset."""
    peak_stack_bytes: int | None
    """The peak size of its frames; None without `Sandbox(profile=True)`."""
    peak_call_depth: int | None
    """The peak number of its frames; None without `Sandbox(profile=True)`."""
    peak_gpu_memory_bytes: int
    """The peak size of its buffers on GPUs since it was loaded or reset."""


class Instance(Closing):
    """A WebAssembly plugin that `Sandbox.load` returned.

    Calls from several threads wait for each other. A call that is stopped partway, by a limit or a trap, leaves the instance
    poisoned until `reset`.
    """

    def __init__(self, handle: int, owner: object, *, owned: bool = True) -> None:
        self._handle = handle
        # Keeps the sandbox and its callbacks alive, also during a call that outlives `close`.
        self._owner = owner
        self._owned = owned

    def call(
        self, name: str, *args: Number, results: str | Sequence[str] | None = "i64"
    ) -> Number | tuple[Number, ...] | None:
        """Calls an exported function with numbers: `int` for i32 and i64, `float` for f64, `F32` for f32.

        `results` names the type of the result ("i32", "i64", "f32", "f64"), or is None for a function without one; a
        sequence of types returns a tuple. Integers may be confused with each other; floats may not.
        """
        types = [results] if isinstance(results, str) else list(results or ())
        for type_ in types:
            if type_ not in TYPES:
                raise ValueError(f"{type_!r} is not one of {', '.join(TYPES)}")
        passed = (ctypes.c_int64 * len(args))(*map(to_bits, args))
        returned = (ctypes.c_int64 * len(types))()
        code = call(
            "wasm_call_n",
            self._handle,
            text(name),
            ctypes.addressof(passed),
            len(args),
            ctypes.addressof(returned),
            len(types),
        )
        if code != 0:
            raise_error()
        values = tuple(map(from_bits, returned, types))
        if results is None:
            return None
        return values[0] if isinstance(results, str) else values

    def call_bytes(self, name: str, *inputs: bytes | bytearray | memoryview) -> bytes:
        """Calls an exported function with bytes and returns the bytes of its result.

        The plugin's function has an i32 parameter for the length of each input and returns an i32: 0, or 1 if its result is
        an error text. It imports `vais.read_args` and `vais.set_result`. Plugins for typst and Extism work, too.
        """
        return called_with("wasm_call_bytes_n", self._handle, text(name), inputs=inputs)

    def call_str(self, name: str, *inputs: str) -> str:
        """Calls an exported function with texts in UTF-8 and returns the text of its result: see `call_bytes`."""
        return decoded(name, self.call_bytes(name, *(each.encode() for each in inputs)))

    def usage(self) -> Usage:
        """Returns what the last call used, or the start function if there was no call yet."""
        fuel = checked("wasm_fuel_used", self._handle, failure=-1)
        memory = checked("wasm_peak_memory", self._handle, failure=-1)
        # They fail if they were not recorded.
        stack, depth = (call("wasm_" + name, self._handle) for name in ("peak_stack", "peak_depth"))
        gpu_memory = checked("wasm_gpu_memory", self._handle, failure=-1)
        return Usage(fuel, memory, None if stack < 0 else stack, None if depth < 0 else depth, gpu_memory)

    def read(self, address: int, length: int) -> bytes:
        """Copies bytes from the plugin's memory."""
        buffer = ctypes.create_string_buffer(max(length, 1))
        checked("wasm_memory_read", self._handle, address, ctypes.addressof(buffer), length)
        return buffer.raw[:length]

    def write(self, address: int, data: bytes) -> None:
        """Copies bytes into the plugin's memory."""
        checked("wasm_memory_write", self._handle, address, data, len(data))

    def is_valid(self) -> bool:
        """Returns whether the instance can be called: it was not closed and is not poisoned."""
        return call("wasm_is_valid", self._handle) == 1

    def reset(self) -> None:
        """Initializes the memory and the variables again, so that a poisoned instance can be called."""
        checked("wasm_reset", self._handle)

    def interrupt(self) -> None:
        """Ends the call that runs in the instance, from any thread; that call raises an `Error` (INTERRUPTED)."""
        call("wasm_interrupt", self._handle)

    def close(self) -> None:
        """Destroys the instance. A call that runs in it is interrupted."""
        handle, self._handle = self._handle, 0
        if handle != 0 and self._owned:
            call("wasm_instance_destroy", handle)

    def __del__(self) -> None:
        self.close()
