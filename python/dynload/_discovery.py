"""Finding installed plugins."""

from __future__ import annotations

from typing import NamedTuple

from ._library import PathLike, call, checked, text, text_at
from ._sandbox import Capability


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
    if directory is None:
        found = checked("discover_plugins")
    else:
        found = checked("discover_plugins_in", text(directory))
    try:
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
    finally:
        call("plugin_list_destroy", found)
