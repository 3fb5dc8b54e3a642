"""Uses the library from Python: ctypes with structs by value. Arguments: the shared library, a native plugin, a Wasm plugin."""

import ctypes
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int64, c_uint8, cast, create_string_buffer


def struct(name, *fields):
    return type(name, (Structure,), {"_fields_": [(field, c_int64) for field in fields]})


ModuleHandle = struct("ModuleHandle", "handle", "path", "version", "loaded")
ResourceLimits = struct("ResourceLimits", "max_memory_bytes", "max_time_ms", "max_stack_bytes", "max_call_depth")
WasmSandbox = struct("WasmSandbox", "handle", "capabilities")
WasmInstance = struct("WasmInstance", "handle", "sandbox")

library = ctypes.CDLL(sys.argv[1])


def function(name, result, *params):
    f = getattr(library, name)
    f.restype, f.argtypes = result, params
    return f


def text(value):
    """Returns the address of a text that lives as long as the process."""
    buffer = create_string_buffer(value.encode())
    kept.append(buffer)
    return ctypes.addressof(buffer)


kept = []
load_module = function("load_module", ModuleHandle, c_int64)
reload_module = function("reload_module", ModuleHandle, ModuleHandle)
unload_module = function("unload_module", c_int64, ModuleHandle)
get_function = function("get_function", c_int64, ModuleHandle, c_int64)
get_load_error = function("get_load_error", c_char_p)
get_load_error_code = function("get_load_error_code", c_int64)
default_limits = function("default_limits", ResourceLimits)
sandbox_with_limits = function("sandbox_with_limits", WasmSandbox, ResourceLimits)
sandbox_set_console = function("sandbox_set_console", c_int64, WasmSandbox, c_int64, c_int64)
sandbox_load = function("sandbox_load", WasmInstance, WasmSandbox, c_int64, c_int64)
sandbox_destroy = function("sandbox_destroy", c_int64, WasmSandbox)
wasm_call1 = function("wasm_call1", c_int64, WasmInstance, c_int64, c_int64)
wasm_call2 = function("wasm_call2", c_int64, WasmInstance, c_int64, c_int64, c_int64)

module = load_module(text(sys.argv[2]))
add = CFUNCTYPE(c_int64, c_int64, c_int64)(get_function(module, text("add")))
print("native", module.loaded, add(40, 2))
module = reload_module(module)
print("version", module.version)
print("unloaded", unload_module(module), unload_module(module), get_load_error_code() != 0)

written = []


@CFUNCTYPE(None, c_int64, c_int64, POINTER(c_uint8), c_int64)
def console(userdata, stream, data, length):
    written.append((userdata, stream, bytes(data[:length])))


limits = default_limits()
limits.max_call_depth = 20
sandbox = sandbox_with_limits(limits)
sandbox_set_console(sandbox, cast(console, ctypes.c_void_p).value, 9)
with open(sys.argv[3], "rb") as file:
    wasm = file.read()
bytes_ = create_string_buffer(wasm, len(wasm))
plugin = sandbox_load(sandbox, ctypes.addressof(bytes_), len(wasm))
print("wasm", wasm_call2(plugin, text("add"), 40, 2), wasm_call1(plugin, text("process"), 21))
print("console", written)
print("deep", wasm_call1(plugin, text("deep"), 19), wasm_call1(plugin, text("deep"), 20), get_load_error().decode())
print("destroyed", sandbox_destroy(sandbox), sandbox_destroy(sandbox))
