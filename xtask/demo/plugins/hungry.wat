;; Uses as much of a limited resource as its argument says.
(module
  (memory (export "memory") 1)

  ;; Loops `$n` times.
  (func (export "count") (param $n i64) (result i64)
    (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_s (local.get $i) (local.get $n))))
    (local.get $i))

  ;; Grows the memory to `$pages` pages of 64 KiB.
  (func (export "grow") (param $pages i32) (result i32)
    (if (i32.eq (i32.const -1) (memory.grow (i32.sub (local.get $pages) (memory.size))))
      (then unreachable))
    (memory.size))

  ;; Calls itself until `$n` frames are alive.
  (func $nest (export "nest") (param $n i64) (result i64)
    (if (result i64) (i64.le_s (local.get $n) (i64.const 1))
      (then (i64.const 1))
      (else (i64.add (i64.const 1) (call $nest (i64.sub (local.get $n) (i64.const 1)))))))

  ;; Never ends.
  (func (export "spin") (loop $again (br $again))))
