; What a Vais compiler generates for a program: structs are LLVM first-class values, the program defines the flat functions
; itself, and the library provides the primitives. Argument: a Wasm plugin.

%WasmSandbox = type { i64, i64 }
%WasmInstance = type { i64, i64 }
%ModuleHandle = type { i64, i64, i64, i64 }

@add = private constant [4 x i8] c"add\00"
@format = private constant [18 x i8] c"%ld %ld %ld %ld\0A\00\00"

declare i64 @vais_wasm_sandbox_create_restrictive()
declare i64 @vais_wasm_sandbox_destroy(i64)
declare i64 @vais_wasm_grant_capability(i64, i64)
declare i64 @vais_wasm_capabilities(i64)
declare i64 @vais_wasm_load(i64, i64, i64)
declare i64 @vais_wasm_call_i64_i64_i64(i64, i64, i64, i64)
declare i64 @vais_wasm_file_load(i64)
declare i64 @vais_wasm_file_size(i64)
declare i64 @vais_wasm_file_free(i64)
declare i32 @printf(ptr, ...)

define %WasmSandbox @sandbox_restrictive() {
  %handle = call i64 @vais_wasm_sandbox_create_restrictive()
  %s = insertvalue %WasmSandbox { i64 0, i64 0 }, i64 %handle, 0
  ret %WasmSandbox %s
}

define %WasmSandbox @sandbox_grant(%WasmSandbox %s, i64 %cap) {
  %handle = extractvalue %WasmSandbox %s, 0
  %done = call i64 @vais_wasm_grant_capability(i64 %handle, i64 %cap)
  %granted = call i64 @vais_wasm_capabilities(i64 %handle)
  %new = insertvalue %WasmSandbox %s, i64 %granted, 1
  ret %WasmSandbox %new
}

define %WasmInstance @sandbox_load(%WasmSandbox %s, i64 %bytes, i64 %len) {
  %handle = extractvalue %WasmSandbox %s, 0
  %instance = call i64 @vais_wasm_load(i64 %handle, i64 %bytes, i64 %len)
  %a = insertvalue %WasmInstance { i64 0, i64 0 }, i64 %instance, 0
  %b = insertvalue %WasmInstance %a, i64 %handle, 1
  ret %WasmInstance %b
}

define i64 @wasm_call2(%WasmInstance %inst, i64 %name, i64 %arg1, i64 %arg2) {
  %handle = extractvalue %WasmInstance %inst, 0
  %result = call i64 @vais_wasm_call_i64_i64_i64(i64 %handle, i64 %name, i64 %arg1, i64 %arg2)
  ret i64 %result
}

define i64 @sandbox_destroy(%WasmSandbox %s) {
  %handle = extractvalue %WasmSandbox %s, 0
  %result = call i64 @vais_wasm_sandbox_destroy(i64 %handle)
  ret i64 %result
}

; Too large for two registers: here the first-class value and the C ABI differ.
define %ModuleHandle @module_handle_new() {
  ret %ModuleHandle { i64 1, i64 2, i64 3, i64 4 }
}

define i64 @module_version(%ModuleHandle %m) {
  %version = extractvalue %ModuleHandle %m, 2
  ret i64 %version
}

define i32 @main(i32 %argc, ptr %argv) {
  %at = getelementptr ptr, ptr %argv, i64 1
  %path = load ptr, ptr %at
  %address = ptrtoint ptr %path to i64
  %bytes = call i64 @vais_wasm_file_load(i64 %address)
  %len = call i64 @vais_wasm_file_size(i64 %bytes)
  %s0 = call %WasmSandbox @sandbox_restrictive()
  %s = call %WasmSandbox @sandbox_grant(%WasmSandbox %s0, i64 3)
  %granted = extractvalue %WasmSandbox %s, 1
  %inst = call %WasmInstance @sandbox_load(%WasmSandbox %s, i64 %bytes, i64 %len)
  %name = ptrtoint ptr @add to i64
  %sum = call i64 @wasm_call2(%WasmInstance %inst, i64 %name, i64 40, i64 2)
  %m = call %ModuleHandle @module_handle_new()
  %version = call i64 @module_version(%ModuleHandle %m)
  %gone = call i64 @sandbox_destroy(%WasmSandbox %s)
  %free = call i64 @vais_wasm_file_free(i64 %bytes)
  %n = call i32 (ptr, ...) @printf(ptr @format, i64 %granted, i64 %sum, i64 %version, i64 %gone)
  ret i32 0
}
