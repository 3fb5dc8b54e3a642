"""Hot reload."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Sequence

from ._closing import Closing
from ._errors import Error, ErrorCode
from ._instance import Instance
from ._library import PathLike, call, checked, last_error, raise_error, text
from ._module import function_at
from ._sandbox import Sandbox


class Reloader(Closing):
    """Rebuilds and reloads a plugin when its source is saved. A version that cannot be built or loaded changes nothing.

    The source is a .c, .rs, .vais or Cargo.toml file, which is built, or a .so, .wasm or .wat file. Native code is not
    restricted: it can do whatever the process can.
    """

    def __init__(
        self,
        source: PathLike,
        *,
        output_dir: PathLike | None = None,
        debounce_ms: int = 100,
        verbose: bool = False,
    ) -> None:
        """Creates a reloader; `start` starts it.

        `output_dir` is for builds and copies, else a private directory. A change is processed after `debounce_ms`
        milliseconds without a further one. `verbose` writes each step to standard error.
        """
        self._handle = 0
        directory = None if output_dir is None else text(output_dir)
        self._handle = checked(
            "hot_reload_create_with_config", text(source), directory, debounce_ms, int(verbose)
        )
        self.error: Error | None = None
        """Why the latest change is not running: set by `start` and `check`."""
        self.sandbox = Sandbox._of(checked("hot_reload_sandbox", self._handle))
        """The sandbox of WebAssembly versions, with CONSOLE and the default limits. Set it up before `start`."""

    def start(self) -> int:
        """Builds and loads the source, watches it, and returns the version that runs.

        If the first build failed, that is 0, `error` says why, and the next change is tried. Raises an `Error` if the source
        cannot be watched.
        """
        version = checked("hot_reload_start", self._handle, failure=-1)
        self.error = last_error()
        return version

    def check(self) -> bool:
        """Returns whether a new version runs, once for each; never waits. `error` says whether a change failed."""
        is_new = call("hot_reload_check", self._handle) == 1
        self.error = last_error()
        if self.error is not None and self.error.code == ErrorCode.INVALID_HANDLE:
            raise self.error
        return is_new

    @property
    def version(self) -> int:
        """The version that runs; 0 while there is none."""
        version = call("hot_reload_get_version", self._handle)
        if version == 0:
            raise_error()
        return version

    def instance(self) -> Instance:
        """Returns the WebAssembly version that runs. It is closed when the next version runs."""
        return Instance(checked("hot_reload_wasm", self._handle), self, owned=False)

    def function(
        self, name: str, result: Any = ctypes.c_int64, params: Sequence[Any] = ()
    ) -> Callable[..., Any]:
        """Returns a function of the native version that runs, as `Module.function` does. Its code stays in memory."""
        address = checked("hot_reload_get_function", self._handle, text(name))
        return function_at(address, self, result, params)

    def stop(self) -> None:
        """Stops watching. The version that is loaded stays loaded. Waits for a build to be killed."""
        checked("hot_reload_stop", self._handle)

    def close(self) -> None:
        """Stops the reloader and destroys its WebAssembly instances. Native code stays in memory."""
        handle, self._handle = self._handle, 0
        if handle != 0:
            call("hot_reload_destroy", handle)

    def __enter__(self) -> Reloader:
        """Starts the reloader."""
        self.start()
        return self

    def __del__(self) -> None:
        self.close()
