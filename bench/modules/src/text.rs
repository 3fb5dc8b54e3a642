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
