//! Small modules in text format.

/// `add(i64, i64) -> i64`: only the cost of entering and leaving. One page of memory, since most plugins have at least that.
pub const ADD: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "add") (param i64 i64) (result i64)
        (i64.add (local.get 0) (local.get 1))))"#;

/// `run() -> i32`, which returns 0.
pub const EMPTY: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "run") (result i32) i32.const 0))"#;

/// `echo` returns the bytes with which it is called, in the convention of dynload.
pub const ECHO: &str = r#"(module
    (import "vais" "read_args" (func $read_args (param i32)))
    (import "vais" "set_result" (func $set_result (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "echo") (param $len i32) (result i32)
        (if (i32.gt_u (local.get $len) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.add (i32.shr_u (local.get $len) (i32.const 16)) (i32.const 1))))))
        (call $read_args (i32.const 0))
        (call $set_result (i32.const 0) (local.get $len))
        (i32.const 0)))"#;

/// `echo` returns its input, in the convention of Extism: copied into the memory of the plugin and out of it, 8 bytes at a
/// time.
pub const ECHO_EXTISM: &str = r#"(module
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
    (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
    (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "echo") (result i32) (local $len i32) (local $at i32) (local $block i64)
        (local.set $len (i32.wrap_i64 (call $input_length)))
        (if (i32.gt_u (local.get $len) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.add (i32.shr_u (local.get $len) (i32.const 16)) (i32.const 1))))))
        (block $read (loop $next
            (br_if $read (i32.lt_u (i32.sub (local.get $len) (local.get $at)) (i32.const 8)))
            (i64.store (local.get $at) (call $input_load_u64 (i64.extend_i32_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))
        (block $read (loop $next
            (br_if $read (i32.eq (local.get $len) (local.get $at)))
            (i32.store8 (local.get $at) (call $input_load_u8 (i64.extend_i32_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (local.set $block (call $alloc (i64.extend_i32_u (local.get $len))))
        (local.set $at (i32.const 0))
        (block $written (loop $next
            (br_if $written (i32.lt_u (i32.sub (local.get $len) (local.get $at)) (i32.const 8)))
            (call $store_u64
                (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
                (i64.load (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))
        (block $written (loop $next
            (br_if $written (i32.eq (local.get $len) (local.get $at)))
            (call $store_u8
                (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
                (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (call $output_set (local.get $block) (i64.extend_i32_u (local.get $len)))
        (i32.const 0)))"#;

/// `run(n)` calls `host.next(i64) -> i64` n times.
pub const HOST_CALLS: &str = r#"(module
    (import "host" "next" (func $next (param i64) (result i64)))
    (func (export "run") (param $n i32) (result i64)
        (local $value i64)
        (loop $again
            (local.set $value (call $next (local.get $value)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $value)))"#;

/// `run()` never ends.
pub const SPIN: &str = r#"(module
    (func (export "run") (result i64)
        (local $n i64)
        (loop $again
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br $again))
        (local.get $n)))"#;

/// Returns a module whose `run(n)` makes n calls through a table of `functions` functions.
pub fn indirect_calls(functions: u32) -> String {
    let mut text = String::from("(module (type $f (func (param i32) (result i32)))");
    let mut names = String::new();
    for n in 0..functions {
        text.push_str(&format!(
            "(func $f{n} (type $f) (i32.add (local.get 0) (i32.const {n})))"
        ));
        names.push_str(&format!(" $f{n}"));
    }
    text.push_str(&format!(
        r#"(table funcref (elem{names}))
        (func (export "run") (param $n i32) (result i32)
            (local $sum i32)
            (loop $again
                (local.set $sum (call_indirect (type $f) (local.get $sum)
                    (i32.rem_u (local.get $n) (i32.const {functions}))))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"#
    ));
    text
}

/// Returns a module whose `run(n)` grows the memory by n pages, one at a time, and writes to each.
pub fn growing() -> &'static str {
    r#"(module
        (memory 1)
        (func (export "run") (param $n i32) (result i32)
            (loop $again
                (i32.store
                    (i32.mul (memory.grow (i32.const 1)) (i32.const 65536))
                    (local.get $n))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (memory.size)))"#
}

/// Returns a module whose `sum` adds this many i64 parameters.
pub fn with_params(count: usize) -> String {
    let params = " i64".repeat(count);
    let sum = (0..count).fold(String::from("(i64.const 0)"), |sum, n| {
        format!("(i64.add {sum} (local.get {n}))")
    });
    format!(r#"(module (func (export "sum") (param{params}) (result i64) {sum}))"#)
}

/// Returns a module whose memory starts with this many bytes of data.
pub fn with_data(bytes: usize) -> String {
    let data = "dynload!".repeat(bytes / 8);
    let pages = bytes.div_ceil(65_536).max(1);
    format!(
        r#"(module (memory {pages}) (data (i32.const 0) "{data}")
            (func (export "run") (result i32) (i32.load8_u (i32.const 0))))"#
    )
}
