"""Tests of the package. The environment names the library (DYNLOAD_LIBRARY) and the plugins (NATIVE_PLUGIN, WASM_PLUGIN)."""

import ctypes
import os
import pathlib
import pickle
import shutil
import tempfile
import threading
import time
import unittest

import dynload
from dynload import Capability, Error, ErrorCode, Limits

NATIVE = os.environ["NATIVE_PLUGIN"]
WASM = os.environ["WASM_PLUGIN"]

USES_THE_HOST = """(module
    (import "host" "swap" (func $swap (param i32 f32) (result f64 i64)))
    (import "host" "peek" (func $peek (param i32) (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 8) "abc")
    (func (export "swap") (param i32 f32) (result f64 i64) (call $swap (local.get 0) (local.get 1)))
    (func (export "peek") (result i64) (call $peek (i32.const 8))))"""

NOT_UTF_8 = r"""(module
    (import "vais" "set_result" (func $set_result (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "a\ff")
    (func (export "get") (result i32) (call $set_result (i32.const 0) (i32.const 2)) (i32.const 0)))"""


class Case(unittest.TestCase):
    def fails(self, code, function, *args, **options):
        """Asserts that a call fails with a code, and returns the error."""
        with self.assertRaises(Error) as caught:
            function(*args, **options)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception


class LibraryTest(Case):
    def test_the_limits_are_those_of_the_library(self):
        class ResourceLimits(ctypes.Structure):
            _fields_ = [
                (name, ctypes.c_int64)
                for name in ("max_memory_bytes", "max_time_ms", "max_stack_bytes", "max_call_depth")
            ]

        library = ctypes.CDLL(os.environ["DYNLOAD_LIBRARY"])
        presets = {
            "default_limits": Limits.DEFAULT,
            "restrictive_limits": Limits.RESTRICTIVE,
            "permissive_limits": Limits.PERMISSIVE,
        }
        for name, expected in presets.items():
            function = getattr(library, name)
            function.restype = ResourceLimits
            found = function()
            values = [getattr(found, field) for field, _ in ResourceLimits._fields_]
            self.assertEqual(Limits(*values), expected, name)

    def test_the_codes_and_capabilities_are_those_of_the_header(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        header = (root / "crates/dynload-ffi/include/dynload.h").read_text()
        words = [line.split() for line in header.splitlines() if "INT64_C(" in line and line.startswith("#define")]
        values = {word[1]: int(word[2][len("INT64_C(") : -1]) for word in words}
        codes = {name: value for name, value in values.items() if name.startswith("DYNLOAD_ERROR_")}
        self.assertEqual(codes, {"DYNLOAD_ERROR_" + code.name: code for code in ErrorCode})
        capabilities = {name: value for name, value in values.items() if name.startswith("CAP_")}
        members = Capability.__members__.items()
        self.assertEqual(capabilities, {"CAP_" + name: value for name, value in members})

    def test_another_library_is_an_error(self):
        dynload.load_library()
        with self.assertRaisesRegex(OSError, "is in use"):
            dynload.load_library("/no/such/libdynload.so")

    def test_a_missing_library_says_what_to_do(self):
        with self.assertRaisesRegex(OSError, "DYNLOAD_LIBRARY"):
            dynload._library._open(["/no/such/libdynload.so"])

    def test_errors_have_a_code_and_a_text_and_can_be_pickled(self):
        error = self.fails(ErrorCode.IO, dynload.Sandbox().load, "/no/such.wasm")
        self.assertIn("/no/such.wasm", error.text)
        self.assertEqual(str(error), error.text)
        copy = pickle.loads(pickle.dumps(error))
        self.assertEqual((copy.code, copy.text), (error.code, error.text))
        with self.assertRaises(ValueError):
            dynload.Sandbox().load("a\0b")


class SandboxTest(Case):
    def test_texts_and_bytes(self):
        with dynload.Sandbox() as sandbox, sandbox.load(WASM) as plugin:
            self.assertEqual(plugin.call_str("shout", "hello, wörld"), "HELLO, WöRLD")
            self.assertEqual(plugin.call_bytes("join", b"a\0", bytearray(b"\xff")), b"a\0\xff")
            self.assertEqual(plugin.call_bytes("shout", b""), b"")
            error = self.fails(ErrorCode.PLUGIN, plugin.call_str, "refuse", "no such colour")
            self.assertIn("no such colour", error.text)
            self.fails(ErrorCode.SIGNATURE, plugin.call_bytes, "shout")
            with self.assertRaises(TypeError):
                plugin.call_bytes("shout", 5)

    def test_a_result_that_is_not_utf_8_is_an_error(self):
        with tempfile.TemporaryDirectory() as directory, dynload.Sandbox() as sandbox:
            path = pathlib.Path(directory, "plugin.wat")
            path.write_text(NOT_UTF_8)
            plugin = sandbox.load(path)
            self.assertEqual(plugin.call_bytes("get"), b"a\xff")
            self.assertIn("from byte 1", self.fails(ErrorCode.PLUGIN, plugin.call_str, "get").text)

    def test_a_plugin_reads_its_configuration(self):
        with dynload.Sandbox(config={"greeting": "hi"}) as sandbox:
            plugin = sandbox.load(WASM)
            self.assertEqual(plugin.call_str("greeting", ""), "hi")
            sandbox.set_config("greeting", None)
            self.fails(ErrorCode.PLUGIN, sandbox.load(WASM).call_str, "greeting", "")

    def test_numbers(self):
        with dynload.Sandbox() as sandbox:
            with open(WASM, "rb") as file:
                plugin = sandbox.load(file.read())
            self.assertEqual(plugin.call("add", 40, 2), 42)
            self.assertEqual(plugin.call("add", 2**64 - 1, -1), -2)
            self.assertEqual(plugin.call("add32", -3, 1, results="i32"), -2)
            self.assertEqual(plugin.call("half", 5.0, results="f64"), 2.5)
            self.assertEqual(plugin.call("swap", 1, 2, results=("i32", "i64")), (2, 1))
            self.assertIsNone(plugin.call("nothing", results=None))
            self.fails(ErrorCode.SIGNATURE, plugin.call, "nothing")
            self.fails(ErrorCode.NOT_FOUND, plugin.call, "no such")
            with self.assertRaises(OverflowError):
                plugin.call("add", 2**64, 0)
            with self.assertRaises(ValueError):
                plugin.call("add", 1, 2, results="u8")

    def test_limits_stop_a_call_and_reset_repairs_the_instance(self):
        limits = Limits(time_ms=50, call_depth=20)
        with dynload.Sandbox(limits, profile=True) as sandbox:
            plugin = sandbox.load(WASM)
            self.assertEqual(plugin.call("deep", 19), 19)
            self.assertEqual(plugin.usage().peak_call_depth, 20)
            self.assertGreater(plugin.usage().fuel, 0)
            self.fails(ErrorCode.DEPTH_LIMIT, plugin.call, "deep", 20)
            self.assertFalse(plugin.is_valid())
            self.fails(ErrorCode.POISONED, plugin.call, "deep", 1)
            plugin.reset()
            self.fails(ErrorCode.TIME_LIMIT, plugin.call, "spin", results=None)
        with dynload.Sandbox(Limits(fuel=1000)) as sandbox:
            plugin = sandbox.load(WASM)
            self.fails(ErrorCode.FUEL_LIMIT, plugin.call, "spin", results=None)
            self.assertIsNone(plugin.usage().peak_stack_bytes)
            self.assertEqual(plugin.usage().peak_memory_bytes, 65_536)

    def test_another_thread_interrupts_a_call(self):
        with dynload.Sandbox(Limits(time_ms=60_000)) as sandbox:
            plugin = sandbox.load(WASM)
            codes = []

            def spin():
                try:
                    plugin.call("spin", results=None)
                except Error as error:
                    codes.append(error.code)

            thread = threading.Thread(target=spin)
            thread.start()
            while thread.is_alive():
                plugin.interrupt()
                thread.join(0.01)
            self.assertEqual(codes, [ErrorCode.INTERRUPTED])

    def test_output_goes_to_the_console_if_it_is_granted(self):
        written = []
        with dynload.Sandbox(console=lambda stream, data: written.append((stream, data))) as sandbox:
            plugin = sandbox.load(WASM)
            self.fails(ErrorCode.CAPABILITY_DENIED, plugin.call, "process", 1)
            self.assertEqual(sandbox.capabilities, Capability.NONE)
            sandbox.grant(Capability.CONSOLE)
            plugin.reset()
            self.assertEqual(plugin.call("process", 21), 42)
            self.assertEqual(written, [(1, b"hello from the plugin\n")])
            sandbox.revoke(Capability.CONSOLE)
            self.fails(ErrorCode.CAPABILITY_DENIED, plugin.call, "process", 1)

    def test_host_functions(self):
        with tempfile.TemporaryDirectory() as directory, dynload.Sandbox() as sandbox:
            path = pathlib.Path(directory, "plugin.wat")
            path.write_text(USES_THE_HOST)
            sandbox.host_function("host", "swap", "(i32, f32) -> (f64, i64)", lambda a, b: (b, a))
            sandbox.host_function(
                "host",
                "peek",
                "(i32) -> (i64)",
                lambda plugin, address: int.from_bytes(plugin.read(address, 3), "big"),
                with_instance=True,
            )
            plugin = sandbox.load(path)
            swapped = plugin.call("swap", -7, dynload.F32(0.5), results=("f64", "i64"))
            self.assertEqual(swapped, (0.5, -7))
            self.assertEqual(plugin.call("peek"), int.from_bytes(b"abc", "big"))
            self.assertEqual(plugin.read(8, 0), b"")

    def test_an_exception_of_a_host_function_is_the_cause(self):
        class Refused(Exception):
            pass

        def refuse(_address):
            raise Refused("not today")

        with tempfile.TemporaryDirectory() as directory, dynload.Sandbox() as sandbox:
            path = pathlib.Path(directory, "plugin.wat")
            path.write_text(USES_THE_HOST)
            sandbox.host_function("host", "swap", "(i32, f32) -> (f64, i64)", lambda a, b: b)
            sandbox.host_function("host", "peek", "(i32) -> (i64)", refuse)
            plugin = sandbox.load(path)
            error = self.fails(ErrorCode.HOST_FUNCTION, plugin.call, "peek")
            self.assertIsInstance(error.__cause__, Refused)
            plugin.reset()
            error = self.fails(ErrorCode.HOST_FUNCTION, plugin.call, "swap", 1, dynload.F32(1), results=("f64", "i64"))
            self.assertIsInstance(error.__cause__, TypeError)

    def test_scopes_are_checked(self):
        with tempfile.TemporaryDirectory() as directory, dynload.Sandbox() as sandbox:
            sandbox.allow_dir(directory, "/data")
            sandbox.allow_env("LANG", "C")
            sandbox.allow_net("api.example.com:443")
            sandbox.allow_program("/bin/true")
            sandbox.allow_workers(2)
            sandbox.set_gpu_limits(1 << 20, 4096)
            self.fails(ErrorCode.INVALID_ARGUMENT, sandbox.allow_gpu, None, "*", 1 << 20)
            self.fails(ErrorCode.IO, sandbox.allow_gpu, "/bin/true", "*", 1 << 20)
            sandbox.set_args(["plugin", "--help"])
            sandbox.set_memory64(True)
            sandbox.set_imported_memory(True)
            sandbox.set_module_limit("bytes", 10)
            self.fails(ErrorCode.INVALID_MODULE, sandbox.load, WASM)
            self.fails(ErrorCode.INVALID_ARGUMENT, sandbox.allow_net, "api.example.com")
            self.fails(ErrorCode.IO, sandbox.allow_dir, "/no/such/directory", "/x")

    def test_the_capabilities_of_imports(self):
        self.assertEqual(dynload.required_capabilities(WASM), Capability.CONSOLE | Capability.TIME)
        self.fails(ErrorCode.INVALID_MODULE, dynload.required_capabilities, b"not a module")

    def test_closed_objects_are_errors(self):
        sandbox = dynload.Sandbox()
        plugin = sandbox.load(WASM)
        sandbox.close()
        sandbox.close()
        self.assertFalse(plugin.is_valid())
        self.fails(ErrorCode.INVALID_HANDLE, plugin.call, "answer")
        self.fails(ErrorCode.INVALID_HANDLE, sandbox.load, WASM)

    def test_an_instance_keeps_its_sandbox(self):
        plugin = dynload.Sandbox().load(WASM)
        self.assertEqual(plugin.call("answer"), 42)


class ModuleTest(Case):
    def test_a_library_is_called_reloaded_and_unloaded(self):
        with tempfile.TemporaryDirectory() as directory:
            path = shutil.copy(NATIVE, directory)
            with dynload.Module(path) as module:
                add = module.function("add", ctypes.c_int64, [ctypes.c_int64, ctypes.c_int64])
                self.assertEqual(add(40, 2), 42)
                self.assertEqual(module.function("plugin_calls")(), 1)
                answer = ctypes.c_int64.from_address(module.address("plugin_answer"))
                self.assertEqual(answer.value, 42)
                self.assertEqual(module.version, 1)
                module.reload()
                self.assertEqual(module.version, 2)
                self.assertEqual(module.function("plugin_calls")(), 0)
                self.fails(ErrorCode.NOT_FOUND, module.function, "no_such")
                with open(path, "wb") as file:
                    file.write(b"damaged")
                self.fails(ErrorCode.LOAD, module.reload)
                self.assertEqual(module.version, 2)
            self.fails(ErrorCode.INVALID_HANDLE, module.address, "add")
            self.fails(ErrorCode.LOAD, dynload.Module, path)


class DiscoveryTest(Case):
    def test_plugins_and_problems(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(WASM, directory)
            broken = pathlib.Path(directory, "broken")
            broken.mkdir()
            (broken / "plugin.toml").write_text("nonsense")
            plugins, problems = dynload.discover(directory)
            self.assertEqual([(p.id, p.format, p.version) for p in plugins], [("plugin", "wasm", "")])
            self.assertTrue(os.path.samefile(plugins[0].path, os.path.join(directory, "plugin.wasm")))
            self.assertEqual(len(problems), 1)
            self.assertIn("plugin.toml:1", problems[0])
        self.assertEqual(dynload.discover(directory), ([], []))

    def test_a_sandbox_is_reduced_to_what_a_manifest_requests(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(WASM, directory)
            pathlib.Path(directory, "plugin.toml").write_text(
                '[plugin]\nid = "p"\nversion = "1.0.0"\nformat = "wasm"\nentry = "plugin.wasm"\n'
                '[capabilities]\nneeds = ["console"]\noptional = ["random"]\nworkers = 2\n'
                '[config.greeting]\ntype = "string"\nrequired = true\n'
            )
            granted = dynload.Capability.CONSOLE | dynload.Capability.TIME
            with dynload.Sandbox(grant=granted) as sandbox:
                self.fails(ErrorCode.INVALID_ARGUMENT, dynload.admit, sandbox, "p", directory)
                self.assertEqual(sandbox.capabilities, granted)
                missing = dynload.admit(sandbox, "p", directory, {"greeting": "hello"})
                self.assertEqual(sandbox.capabilities, dynload.Capability.CONSOLE)
                self.assertEqual(len(missing), 2, missing)
                self.assertIn("random", missing[0])
                self.fails(ErrorCode.NOT_FOUND, dynload.admit, sandbox, "q", directory)


class PluginsTest(Case):
    def test_plugins_are_called_by_id_and_reloaded(self):
        with tempfile.TemporaryDirectory() as directory:
            shout = pathlib.Path(directory, "shout")
            shout.mkdir()
            shutil.copy(WASM, shout / "shout.wasm")
            manifest = """[plugin]
id = "shout"
version = "1.0.0"
format = "wasm"
entry = "shout.wasm"
[capabilities]
needs = ["console", "time"]
[config.greeting]
type = "string"
default = "hi"
"""
            (shout / "plugin.toml").write_text(manifest)
            grant = Capability.CONSOLE | Capability.TIME
            with dynload.Plugins(directory, grant=grant, config={"shout": {"greeting": "good day"}}) as plugins:
                self.assertEqual(plugins.call_str("shout", "shout", "hello"), "HELLO")
                self.assertEqual(plugins.call_bytes("shout", "greeting", b""), b"good day")
                self.assertEqual(plugins.call_str("shout", "join", "a", "b"), "ab")
                for data in bytearray(b"hi"), memoryview(b"hi"):
                    self.assertEqual(plugins.call_bytes("shout", "shout", data), b"HI")
                with self.assertRaises(TypeError):
                    plugins.call_bytes("shout", "shout", 2)
                self.fails(ErrorCode.PLUGIN, plugins.call_str, "shout", "refuse", "no")
                self.fails(ErrorCode.NOT_FOUND, plugins.call_str, "shuot", "shout", "hello")
                events = plugins.events()
                self.assertTrue(any("version 1.0.0 is loaded" in event for event in events), events)
                (shout / "plugin.toml").write_text(manifest.replace("1.0.0", "1.1.0"))
                plugins.refresh()
                events = plugins.events()
                self.assertTrue(any("1.1.0" in event for event in events), events)
            self.fails(ErrorCode.INVALID_HANDLE, plugins.events)
        with self.assertRaises(ValueError):
            dynload.Plugins(directory, limits=Limits(fuel=1))


class ReloaderTest(Case):
    def test_a_saved_source_is_reloaded_and_a_broken_one_is_reported(self):
        def returning(value):
            return f'(module (func (export "value") (result i64) (i64.const {value})))'

        def until(happened):
            deadline = time.monotonic() + 60
            while not happened():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory, "plugin.wat")
            reloader = dynload.Reloader(source, debounce_ms=10)
            with reloader:
                self.assertEqual(reloader.version, 0)
                self.assertIsNotNone(reloader.error)
                source.write_text(returning(1))
                until(reloader.check)
                self.assertIsNone(reloader.error)
                self.assertEqual(reloader.instance().call("value"), 1)
                source.write_text("(module (broken and long enough to be taken for a whole file))")
                until(lambda: not reloader.check() and reloader.error is not None)
                self.assertIn("plugin.wat", reloader.error.text)
                self.assertEqual((reloader.version, reloader.instance().call("value")), (1, 1))
                source.write_text(returning(2))
                until(reloader.check)
                self.assertEqual((reloader.version, reloader.instance().call("value")), (2, 2))
                reloader.stop()
            self.fails(ErrorCode.INVALID_HANDLE, reloader.check)


if __name__ == "__main__":
    unittest.main()
