"""Finding installed plugins."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Mapping, NamedTuple

from ._errors import Error, ErrorCode
from ._library import PathLike, call, checked, taken, text, text_at
from ._sandbox import Capability, Sandbox


class Plugin(NamedTuple):
    """A plugin that was found. None of its code has run."""

    id: str
    name: str
    version: str
    """Empty for a file without a manifest."""
    path: str | None
    """The file for this platform, if it has one."""
    format: str
    """"native", "wasm" or "vais"."""
    capabilities: Capability
    """What the manifest requests."""


class Discovery(NamedTuple):
    """The result of `discover`."""

    plugins: list[Plugin]
    problems: list[str]
    """What is wrong with manifests and files: the severity, the file with its line, and what to do."""


def discover(directory: PathLike | None = None) -> Discovery:
    """Looks for plugins in a directory; without one, in those of VAIS_PLUGIN_PATH, of the user and of the system.

    A directory that does not exist has no plugins.
    """
    with _found(directory) as found:
        plugins = [
            Plugin(
                text_at(call("plugin_id", found, i)) or "",
                text_at(call("plugin_name", found, i)) or "",
                text_at(call("plugin_version", found, i)) or "",
                text_at(call("plugin_path", found, i)),
                text_at(call("plugin_format", found, i)) or "",
                Capability(checked("plugin_capabilities", found, i, failure=-1)),
            )
            for i in range(checked("plugin_count", found, failure=-1))
        ]
        problems = [
            text_at(checked("plugin_problem", found, i)) or ""
            for i in range(checked("plugin_problem_count", found, failure=-1))
        ]
        return Discovery(plugins, problems)


def admit(
    sandbox: Sandbox,
    plugin: str,
    directory: PathLike | None = None,
    config: Mapping[str, str] | None = None,
) -> list[str]:
    """Reduces a sandbox to what the WebAssembly plugin of that id requests in its manifest: its capabilities and scopes, the
    lower of the limits of both, and its settings with the values of `config`.

    Returns a text for each thing that it requests and the sandbox does not allow. Each plugin needs a sandbox of its own, in
    which nothing was loaded. The plugins are looked for as in `discover`.
    """
    with _found(directory) as found:
        for i in range(checked("plugin_count", found, failure=-1)):
            if text_at(call("plugin_id", found, i)) == plugin:
                for name, value in (config or {}).items():
                    checked("plugin_set_config", found, i, text(name), text(value))
                return taken(checked("plugin_admit", found, i, sandbox._handle)).decode().splitlines()
    raise Error(ErrorCode.NOT_FOUND, f"there is no plugin `{plugin}`")


@contextmanager
def _found(directory: PathLike | None) -> Iterator[int]:
    if directory is None:
        found = checked("discover_plugins")
    else:
        found = checked("discover_plugins_in", text(directory))
    try:
        yield found
    finally:
        call("plugin_list_destroy", found)
