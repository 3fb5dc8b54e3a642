;; The plugin of this program: `wat2wasm plugin.wat` builds plugin.wasm.
(module
  (import "vais" "println" (func $println (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "hello without std")
  (func (export "double") (param $x i64) (result i64)
    (call $println (i32.const 0) (i32.const 17))
    (i64.mul (local.get $x) (i64.const 2)))
  (func (export "spin") (loop $again (br $again))))
