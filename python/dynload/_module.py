"""Native plugins: shared libraries."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Sequence

from ._closing import Closing
from ._library import PathLike, checked, text

_LAZY, _NOW, _GLOBAL = 1, 2, 256


def function_at(address: int, owner: object, result: Any, params: Sequence[Any]) -> Callable[..., Any]:
    """Returns the C function at an address. It keeps `owner` alive."""
    function = ctypes.CFUNCTYPE(result, *params)(address)
    function._owner = owner  # type: ignore[attr-defined]
    return function


class Module(Closing):
    """A shared library that can be rebuilt and reloaded while it is used: a private copy of the file is loaded.

    Native code is not restricted: it can do whatever the process can. The library stays loaded until `close`, which `with`
    calls: no function of it may be called from then on.
    """

    def __init__(self, path: PathLike, *, lazy: bool = False, global_symbols: bool = False) -> None:
        """Loads a library; its constructors run on this thread.

        `lazy` resolves functions when they are first called. `global_symbols` offers the symbols to the libraries that are
        loaded later.
        """
        flags = (_LAZY if lazy else _NOW) | (_GLOBAL if global_symbols else 0)
        self._adopt(checked("module_load", text(path), flags))

    def _adopt(self, handle: int) -> None:
        self._handle = handle
        # The address of a text that is never reused: together with the handle, it identifies the module.
        self._path = checked("module_path", handle)

    @property
    def version(self) -> int:
        """1 after the load, incremented by each successful reload."""
        return checked("module_version", self._handle)

    def address(self, name: str) -> int:
        """Returns the address of a function or variable that the library defines."""
        return checked("module_symbol", self._handle, self._path, text(name))

    def function(
        self, name: str, result: Any = ctypes.c_int64, params: Sequence[Any] = ()
    ) -> Callable[..., Any]:
        """Returns a C function with the ctypes types of its result (None for void) and parameters.

        It is that of the version that is loaded now: look it up again after a reload.
        """
        return function_at(self.address(name), self, result, params)

    def reload(self) -> None:
        """Loads the current content of the file. If that fails, the old version stays loaded.

        The old version stays in memory, so that calls that run in it can complete.
        """
        self._adopt(checked("module_reload", self._handle, self._path))

    def close(self) -> None:
        """Unloads the library."""
        handle, self._handle = self._handle, 0
        if handle != 0:
            checked("module_unload", handle, self._path)
