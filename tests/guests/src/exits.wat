;; Exits from nested blocks: n rounds of a parser-like loop that leaves by br_table, br_if and br, with values on the stack.
(module
  (func $classify (param i32) (result i32)
    (block $four (result i32)
      (block $three (result i32)
        (block $two
          (block $one
            (block $zero
              (br_table $zero $one $two $zero $one (i32.rem_u (local.get 0) (i32.const 7))))
            (return (i32.const 10)))
          (drop (br_if $four (i32.const 20) (i32.and (local.get 0) (i32.const 8))))
          (br $three (i32.const 30)))
        (i32.add (i32.const 40) (i32.popcnt (local.get 0))))
      (i32.add (i32.const 1)))
    (i32.add (i32.const 1000)))

  (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $i i32)
    (loop $again (result i32)
      (block $done
        (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
        (local.set $sum
          (i32.add
            (i32.mul (local.get $sum) (i32.const 5))
            (block $inner (result i32)
              (call $classify (local.get $i))
              (br_if $inner (i32.and (local.get $i) (i32.const 3)))
              (if (param i32) (result i32) (i32.and (local.get $i) (i32.const 16))
                (then (br $inner (i32.sub (i32.const 3))))
                (else (i32.xor (i32.const 5))))
              (i32.add (i32.const 1)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again))
      (local.get $sum))))
