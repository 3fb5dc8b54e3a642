"""Plugins for Python programs: WebAssembly in a sandbox with exact limits, native libraries, hot reload, discovery.

    import dynload

    with dynload.Sandbox() as sandbox:
        plugin = sandbox.load("shout.wat")
        print(plugin.call_str("shout", "hello"))

The package is a thin layer over dynload's C library, which `load_library` finds. Everything may be used from any thread; a call
releases the interpreter's lock while the plugin runs.
"""

from ._discovery import Discovery, Plugin, admit, discover
from ._errors import Error, ErrorCode
from ._instance import Instance, Usage
from ._library import load_library
from ._module import Module
from ._plugins import Plugins
from ._reloader import Reloader
from ._sandbox import Capability, Limits, Sandbox, required_capabilities
from ._values import F32

__all__ = [
    "Capability",
    "Discovery",
    "Error",
    "ErrorCode",
    "F32",
    "Instance",
    "Limits",
    "Module",
    "Plugin",
    "Plugins",
    "Reloader",
    "Sandbox",
    "Usage",
    "admit",
    "discover",
    "load_library",
    "required_capabilities",
]
