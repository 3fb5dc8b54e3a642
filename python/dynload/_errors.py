"""Errors of the library as exceptions."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """The kinds of errors: DYNLOAD_ERROR_* of dynload.h."""

    INVALID_ARGUMENT = 1
    """An argument is invalid: not UTF-8, out of range, or malformed."""
    INVALID_HANDLE = 2
    """The object was closed."""
    IO = 3
    """A file or directory cannot be read."""
    LOAD = 4
    """A native library cannot be loaded, reloaded or unloaded."""
    NOT_FOUND = 5
    """There is no symbol, export or import of that name."""
    INVALID_MODULE = 6
    """The bytes are not a WebAssembly module, or the module uses a disabled feature."""
    MISSING_IMPORT = 7
    """The module has unresolved imports."""
    SIGNATURE = 8
    """The type of the function does not match the call."""
    TRAP = 9
    """The plugin trapped."""
    MEMORY_LIMIT = 10
    """The plugin exceeded the memory limit."""
    TIME_LIMIT = 11
    """The plugin exceeded the time limit."""
    STACK_LIMIT = 12
    """The plugin exceeded the stack limit."""
    DEPTH_LIMIT = 13
    """The plugin exceeded the call-depth limit."""
    FUEL_LIMIT = 14
    """The plugin exceeded the fuel limit."""
    CAPABILITY_DENIED = 15
    """A required capability is not granted."""
    INTERRUPTED = 16
    """The call was interrupted."""
    EXITED = 17
    """The plugin exited by its own request."""
    POISONED = 18
    """The instance is poisoned by an aborted call: reset it."""
    BUSY = 19
    """The object is in use and this call must not wait for it, for instance because it comes from a callback."""
    HOST_FUNCTION = 20
    """A host function failed; its exception is the `__cause__` of the error."""
    BUILD = 21
    """A source cannot be built or watched."""
    INTERNAL = 22
    """An internal error of the library."""
    PLUGIN = 23
    """A plugin that was called with bytes returned an error, or a result that is neither bytes nor an error."""


class Error(Exception):
    """What the library refused or what a plugin did wrong. Its text is one line that says what to do, where that is known.

    It has more lines only if it contains the output of a compiler.
    """

    code: ErrorCode | int
    """The kind of the error; a number if this package is older than the library."""
    text: str
    """The text of the error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = ErrorCode(code) if code in ErrorCode.__members__.values() else code
        self.text = text

    def __reduce__(self) -> tuple[type[Error], tuple[int, str]]:
        return (type(self), (int(self.code), self.text))
