;; Calls a host function, which calls back into the plugin.
(module
  (import "env" "twice" (func $twice (param i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "guest memory")
  (func (export "run") (param i64) (result i64) (call $twice (local.get 0)))
  (func (export "inner") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1))))
