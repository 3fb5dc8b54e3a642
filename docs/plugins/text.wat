;; The plugin of docs/plugins.md in the text format. It needs no build.
(module
  (import "vais" "read_args" (func $read_args (param $to i32)))
  (import "vais" "set_result" (func $set_result (param $from i32) (param $len i32)))
  (import "vais" "config_get"
    (func $config_get (param $name i32) (param $name_len i32) (param $to i32) (param $room i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "greetingHello, !cannot accept: ")
  ;; Where texts are built: the rest of the memory, which $reserve grows.
  (global $heap i32 (i32.const 1024))

  ;; Grows the memory so that so many bytes fit from $heap on. Traps if the host's memory limit denies it.
  (func $reserve (param $len i32)
    (local $missing i32)
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (local.get $len) (i32.const 0x103ff)) (i32.const 16)) ;; pages, rounded up
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable))))))

  ;; Upper case, of ASCII letters.
  (func (export "shout") (param $len i32) (result i32)
    (local $at i32) (local $end i32) (local $byte i32)
    (call $reserve (local.get $len))
    (call $read_args (global.get $heap))
    (local.set $at (global.get $heap))
    (local.set $end (i32.add (global.get $heap) (local.get $len)))
    (block $done (loop $next
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26)) ;; a to z
        (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (call $set_result (global.get $heap) (local.get $len))
    (i32.const 0))

  ;; A greeting, by the plugin's configuration.
  (func (export "greet") (param $len i32) (result i32)
    (local $greeting_len i32) (local $total i32)
    (local.set $greeting_len (call $config_get (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 0)))
    (local.set $total ;; the greeting, the name, and ", " and "!"
      (i32.add
        (i32.add (local.get $len) (i32.const 3))
        (select (i32.const 5) (local.get $greeting_len) (i32.eq (local.get $greeting_len) (i32.const -1)))))
    (call $reserve (local.get $total))
    (if (i32.eq (local.get $greeting_len) (i32.const -1))
      (then
        (local.set $greeting_len (i32.const 5))
        (memory.copy (global.get $heap) (i32.const 8) (i32.const 5)))
      (else
        (drop (call $config_get (i32.const 0) (i32.const 8) (global.get $heap) (local.get $greeting_len)))))
    (memory.copy (i32.add (global.get $heap) (local.get $greeting_len)) (i32.const 13) (i32.const 2))
    (call $read_args (i32.add (global.get $heap) (i32.add (local.get $greeting_len) (i32.const 2))))
    (i32.store8
      (i32.add (global.get $heap) (i32.sub (local.get $total) (i32.const 1)))
      (i32.load8_u (i32.const 15)))
    (call $set_result (global.get $heap) (local.get $total))
    (i32.const 0))

  ;; Always an error.
  (func (export "refuse") (param $len i32) (result i32)
    (local $total i32)
    (local.set $total (i32.add (local.get $len) (i32.const 15)))
    (call $reserve (local.get $total))
    (memory.copy (global.get $heap) (i32.const 16) (i32.const 15))
    (call $read_args (i32.add (global.get $heap) (i32.const 15)))
    (call $set_result (global.get $heap) (local.get $total))
    (i32.const 1))

  ;; Two arguments with a space between them.
  (func (export "join") (param $first_len i32) (param $second_len i32) (result i32)
    (local $total i32) (local $second i32)
    (local.set $total (i32.add (i32.add (local.get $first_len) (local.get $second_len)) (i32.const 1)))
    (local.set $second (i32.add (global.get $heap) (local.get $first_len)))
    (call $reserve (local.get $total))
    (call $read_args (global.get $heap))
    (memory.copy (i32.add (local.get $second) (i32.const 1)) (local.get $second) (local.get $second_len))
    (i32.store8 (local.get $second) (i32.const 32))
    (call $set_result (global.get $heap) (local.get $total))
    (i32.const 0)))
