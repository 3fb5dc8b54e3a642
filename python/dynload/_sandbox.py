"""Sandboxes: what WebAssembly plugins may do."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntFlag
from typing import Callable, ClassVar, Iterable, Iterator, Mapping

from ._closing import Closing
from ._instance import Instance
from ._library import PathLike, call, checked, raised, text
from ._values import from_bits, signature, typed_bits

Console = Callable[[int, bytes], None]
HostFunction = Callable[..., object]

_CONSOLE = ctypes.CFUNCTYPE(
    None, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int64
)
_HOST_FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
)


class Capability(IntFlag):
    """What a plugin may do. Files, network, environment and programs also need a scope: `Sandbox.allow_dir` and others."""

    NONE = 0
    CONSOLE = 1
    TIME = 2
    RANDOM = 4
    FS_READ = 8
    FS_WRITE = 16
    NETWORK = 32
    ENV = 64
    PROCESS = 128
    THREADING = 256
    GPU = 512


@dataclass(frozen=True)
class Limits:
    """The limits of each call of a plugin."""

    memory_bytes: int = 64 << 20
    """Total bytes of the memories and tables of an instance."""
    time_ms: int = 5_000
    """Milliseconds of wall clock."""
    stack_bytes: int = 1 << 20
    """Total bytes of the frames that are alive at the same time."""
    call_depth: int = 1_000
    """The number of frames that are alive at the same time."""
    fuel: int | None = None
    """WebAssembly operators; None for as many as the time permits."""

    DEFAULT: ClassVar[Limits]
    """64 MiB, 5 s, 1 MiB of stack, 1 000 frames."""
    RESTRICTIVE: ClassVar[Limits]
    """For untrusted plugins: 16 MiB, 1 s, 256 KiB of stack, 500 frames."""
    PERMISSIVE: ClassVar[Limits]
    """For heavy work: 256 MiB, 60 s, 4 MiB of stack, 5 000 frames."""


Limits.DEFAULT = Limits()
Limits.RESTRICTIVE = Limits(16 << 20, 1_000, 256 << 10, 500)
Limits.PERMISSIVE = Limits(256 << 20, 60_000, 4 << 20, 5_000)


class Sandbox(Closing):
    """What WebAssembly plugins may do, and the functions that they may call.

    Grants take effect immediately; everything else applies to the plugins that are loaded afterwards. Closing a sandbox
    destroys its instances.
    """

    def __init__(
        self,
        limits: Limits = Limits.DEFAULT,
        *,
        grant: Capability = Capability.NONE,
        console: Console | None = None,
        config: Mapping[str, str] | None = None,
        profile: bool = False,
    ) -> None:
        """Creates a sandbox whose plugins have no capability but those of `grant`.

        `console`, `config` and `profile` are as `set_console`, `set_config` and `set_profile`.
        """
        # What `close` needs, if the next line fails.
        self._handle = 0
        handle = checked(
            "wasm_sandbox_create_with_limits",
            limits.memory_bytes,
            limits.time_ms,
            limits.stack_bytes,
            limits.call_depth,
        )
        self._adopt(handle, owned=True)
        self.revoke(Capability.CONSOLE)
        self.grant(grant)
        if limits.fuel is not None:
            self._set("set_fuel", limits.fuel)
        if console is not None:
            self.set_console(console)
        for name, value in (config or {}).items():
            self.set_config(name, value)
        if profile:
            self.set_profile(True)

    @classmethod
    def _of(cls, handle: int) -> Sandbox:
        """Returns the sandbox of another object, which destroys it."""
        sandbox = cls.__new__(cls)
        sandbox._adopt(handle, owned=False)
        return sandbox

    def _adopt(self, handle: int, *, owned: bool) -> None:
        self._handle = handle
        self._owned = owned
        # Callbacks that the library may call as long as an instance exists.
        self._callbacks: list[object] = []

    def _set(self, name: str, *args: int | bytes | None) -> None:
        checked("wasm_" + name, self._handle, *args)

    def grant(self, capabilities: Capability) -> None:
        """Grants capabilities, also to running plugins."""
        self._set("grant_capability", int(capabilities))

    def revoke(self, capabilities: Capability) -> None:
        """Revokes capabilities, also of running plugins."""
        self._set("revoke_capability", int(capabilities))

    @property
    def capabilities(self) -> Capability:
        """What is granted now."""
        return Capability(checked("wasm_capabilities", self._handle, failure=-1))

    def allow_dir(self, host: PathLike, guest: str, *, writable: bool = False) -> None:
        """Makes a directory visible as `guest`. Also needs FS_READ, and FS_WRITE for changes."""
        self._set("allow_dir", text(host), text(guest), int(writable))

    def allow_env(self, name: str, value: str | None = None) -> None:
        """Makes an environment variable visible, with the host's value if `value` is None. Also needs ENV."""
        self._set("allow_env", text(name), None if value is None else text(value))

    def allow_net(self, pattern: str) -> None:
        """Allows the hosts and ports that match, such as "api.example.com:443". Also needs NETWORK."""
        self._set("allow_net", text(pattern))

    def allow_program(self, path: PathLike) -> None:
        """Allows running the program at an absolute path. Also needs PROCESS."""
        self._set("allow_program", text(path))

    def allow_workers(self, count: int) -> None:
        """Allows up to `count` workers at the same time. Also needs THREADING."""
        self._set("allow_workers", count)

    def set_args(self, args: Iterable[str]) -> None:
        """Sets the arguments of WASI programs; the first is the name of the program."""
        encoded = [text(arg) for arg in args]
        array = (ctypes.c_char_p * len(encoded))(*encoded)
        self._set("set_args", ctypes.addressof(array), len(encoded))

    def allow_gpu(self, worker: PathLike | None, device: str, max_memory_bytes: int) -> None:
        """Allows the GPUs that match `device`: `*`, `cpu`, `integrated`, `discrete`, `name:NAME` and so on. Also needs GPU.

        `worker` is the absolute path of `dynload-gpu-worker`, or None for that of an earlier call.
        """
        self._set("allow_gpu", None if worker is None else text(worker), text(device), max_memory_bytes)

    def set_gpu_limits(self, max_invocations: int, max_shader_bytes: int) -> None:
        """Limits the invocations of shaders in a call, and the bytes of a shader's source text."""
        self._set("set_gpu_limits", max_invocations, max_shader_bytes)

    def set_config(self, name: str, value: str | None) -> None:
        """Sets a value that plugins read with `vais.config_get`, or removes it if it is None."""
        self._set("set_config", text(name), None if value is None else text(value))

    def set_profile(self, profile: bool) -> None:
        """Whether calls also record the peak stack size and call depth."""
        self._set("set_profile", int(profile))

    def set_memory64(self, memory64: bool) -> None:
        """Whether modules with 64-bit memories are accepted."""
        self._set("set_memory64", int(memory64))

    def set_imported_memory(self, imported_memory: bool) -> None:
        """Whether a module that imports `env.memory` gets a memory of its own."""
        self._set("set_imported_memory", int(imported_memory))

    def set_module_limit(self, name: str, most: int) -> None:
        """Sets a limit of what loading a module may take, by its name in dynload.h."""
        self._set("set_module_limit", text(name), most)

    def set_console(self, console: Console) -> None:
        """Sets the destination of output: `console(stream, data)`, with the stream 1 for standard output and 2 for
        standard error. Without one, it is the output of this process. Plugins need CONSOLE.

        It runs on the thread that runs the plugin. An exception in it is printed, and the plugin continues.
        """

        def write(_userdata: int, stream: int, data: ctypes._Pointer[ctypes.c_uint8], length: int) -> None:
            console(stream, ctypes.string_at(data, length))

        callback = _CONSOLE(write)
        self._set("set_console", _address(callback), 0)
        self._callbacks.append(callback)

    def host_function(
        self,
        module: str,
        name: str,
        signature_: str,
        function: HostFunction,
        *,
        capability: Capability = Capability.NONE,
        with_instance: bool = False,
    ) -> None:
        """Adds the import `module.name` of a type such as "(i32, i64) -> (i64)".

        `function` is called with the arguments and returns the result, or a sequence if there are several results. With
        `with_instance`, the calling `Instance` comes first, for its memory; it is None while the plugin is being loaded. A
        plugin that calls the function without `capability` is stopped.

        An exception ends the call of the plugin with an `Error` (HOST_FUNCTION), whose `__cause__` it is.
        """
        params, results = signature(signature_)

        def run(
            _userdata: int,
            instance: int,
            args: ctypes._Pointer[ctypes.c_int64],
            _nargs: int,
            returned: ctypes._Pointer[ctypes.c_int64],
            _nresults: int,
        ) -> int:
            try:
                values: list[object] = [from_bits(args[i], type_) for i, type_ in enumerate(params)]
                if with_instance:
                    values.insert(0, Instance(instance, None, owned=False) if instance else None)
                answer = function(*values)
                answers = [answer] if len(results) == 1 else list(answer or ())  # type: ignore[call-overload]
                if len(answers) != len(results):
                    raise TypeError(f"`{module}.{name}` returned {len(answers)} results, not {len(results)}")
                for i, (value, type_) in enumerate(zip(answers, results)):
                    returned[i] = typed_bits(value, type_)
                return 0
            except BaseException as exception:
                # The call of the plugin, on this thread, raises it.
                raised.exception = exception
                return 1

        callback = _HOST_FUNCTION(run)
        self._set(
            "host_function", text(module), text(name), text(signature_), _address(callback), 0, int(capability)
        )
        self._callbacks.append(callback)

    def load(self, module: PathLike | bytes) -> Instance:
        """Loads a plugin: the path of a module in the binary or text format, or the bytes of one in the binary format.

        Its start function runs, within the limits of a call.
        """
        with _bytes_of(module) as (data, length):
            return Instance(checked("wasm_load", self._handle, data, length), self)

    def close(self) -> None:
        """Destroys the sandbox with its instances. Calls that run in them are interrupted."""
        handle, self._handle = self._handle, 0
        if handle != 0 and self._owned:
            call("wasm_sandbox_destroy", handle)

    def __del__(self) -> None:
        self.close()


def _address(callback: object) -> int:
    return ctypes.cast(callback, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


@contextmanager
def _bytes_of(module: PathLike | bytes) -> Iterator[tuple[int | bytes, int]]:
    """Yields the bytes of a module or their address, and their length. A file in the text format is translated."""
    if isinstance(module, bytes):
        yield module, len(module)
        return
    address = checked("wasm_file_load", text(module))
    try:
        yield address, call("wasm_file_size", address)
    finally:
        call("wasm_file_free", address)


def required_capabilities(module: PathLike | bytes) -> Capability:
    """Returns the capabilities that the imports of a module can use. The module is not run."""
    with _bytes_of(module) as (data, length):
        return Capability(checked("wasm_required_capabilities", data, length, failure=-1))
