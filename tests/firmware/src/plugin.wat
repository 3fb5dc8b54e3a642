;; A plugin for a device: it reads a sensor, and it can use too much of everything. `build.rs` builds it twice, with a memory of
;; one page of 64 KiB and with one of 4 KiB.
(module
  (import "board" "read_sensor" (func $read_sensor (param i32) (result i32)))
  (import "vais" "println" (func $println (param i32 i32)))
  (memory (export "memory") PAGES)
  (data (i32.const 0) "hello from the plugin")

  (func (export "hello")
    (call $println (i32.const 0) (i32.const 21)))

  ;; The average of `n` readings, which it keeps in memory.
  (func (export "average") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (i32.store (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2)))
        (call $read_sensor (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.set $i (i32.const 0))
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (i32.load (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2))))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.div_u (local.get $sum) (local.get $n)))

  ;; Calls itself `n` times.
  (func $nest (export "nest") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $nest (i32.sub (local.get $n) (i32.const 1)))))))

  (func (export "grow") (param $pages i32) (result i32)
    (memory.grow (local.get $pages)))

  (func (export "spin") (loop $again (br $again))))
