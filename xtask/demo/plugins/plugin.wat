;; Prints a line, reads the clock, and doubles its argument.
(module
  (import "vais" "println" (func $println (param i32 i32)))
  (import "vais" "now_ms" (func $now_ms (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "hello from the plugin")

  (func (export "process") (param $x i64) (result i64)
    (call $println (i32.const 0) (i32.const 21))
    (if (i64.le_s (call $now_ms) (i64.const 0)) (then unreachable))
    (i64.mul (local.get $x) (i64.const 2))))
