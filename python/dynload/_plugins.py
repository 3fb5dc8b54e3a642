"""Plugin systems: from a directory to running plugins."""

from __future__ import annotations

from typing import Mapping

from ._closing import Closing
from ._library import PathLike, call, called_with, checked, decoded, raise_error, taken, text
from ._sandbox import Capability, Limits


class Plugins(Closing):
    """The WebAssembly plugins of a directory, loaded by what their manifests request and the host allows, called by their ids,
    and reloaded when they change.

    Each has a sandbox of its own. The plugins are loaded by the first call of a method.
    """

    def __init__(
        self,
        directory: PathLike | None = None,
        *,
        grant: Capability = Capability.NONE,
        limits: Limits = Limits.DEFAULT,
        config: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Creates a plugin system for a directory, or for the standard directories.

        A plugin gets what its manifest requests and `grant` has, and the lower of its limits and `limits`. `config` has the
        settings of plugins, by their ids.
        """
        self._handle = 0
        if limits.fuel is not None:
            raise ValueError("the limits of a plugin system have no fuel: each manifest may have a limit")
        self._handle = checked("plugins_new", None if directory is None else text(directory), int(grant))
        checked(
            "plugins_set_limits",
            self._handle,
            limits.memory_bytes,
            limits.time_ms,
            limits.stack_bytes,
            limits.call_depth,
        )
        for plugin, settings in (config or {}).items():
            for name, value in settings.items():
                checked("plugins_set_config", self._handle, text(plugin), text(name), text(value))

    def call_bytes(self, plugin: str, name: str, *inputs: bytes | bytearray | memoryview) -> bytes:
        """Calls an exported function of the plugin with this id: see `Instance.call_bytes`."""
        return called_with("plugins_call_bytes_n", self._handle, text(plugin), text(name), inputs=inputs)

    def call_str(self, plugin: str, name: str, *inputs: str) -> str:
        """Calls an exported function with texts in UTF-8 and returns the text of its result."""
        return decoded(name, self.call_bytes(plugin, name, *(each.encode() for each in inputs)))

    def refresh(self) -> None:
        """Searches again: loads new plugins, reloads changed ones, drops those that were removed."""
        checked("plugins_refresh", self._handle)

    def watch(self, interval_ms: int = 500) -> None:
        """Refreshes from now on, when a file of a plugin changes and every `interval_ms` milliseconds."""
        checked("plugins_watch", self._handle, interval_ms)

    def events(self) -> list[str]:
        """Returns what happened since the last call, each as a line: a plugin was loaded, reloaded or dropped, or why not."""
        events = []
        while event := call("plugins_next_event", self._handle):
            events.append(taken(event).decode(errors="replace"))
        raise_error()
        return events

    def close(self) -> None:
        """Drops the plugins when their calls have ended."""
        handle, self._handle = self._handle, 0
        if handle != 0:
            call("plugins_close", handle)

    def __del__(self) -> None:
        self.close()
