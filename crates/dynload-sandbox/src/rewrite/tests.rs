//! The example in the documentation of [`rewrite`](super).

use super::module;
use crate::EngineConfig;

/// The body of the example, with its labels as depths. `nops` is at the start of the loop, and `dead` after it.
fn body(nops: &str, dead: &str) -> std::string::String {
    std::format!(
        "block
           loop {nops}
             (br_if 1 (i32.gt_u (local.tee 1 (i32.add (local.get 1) (local.get 0))) (i32.const 100)))
             (local.set 0 (i32.add (local.get 0) (i32.const 1)))
             br 0
           end {dead}
         end
         (i32.add (i32.shl (local.get 1) (i32.const 1)) (local.get 0))"
    )
}

#[test]
fn the_example_is_emitted_as_documented() {
    let original = std::format!(
        "(module (func (export \"sum\") (param i32) (result i32) (local i32) {}))",
        body("", "")
    );
    let documented = std::format!(
        "(module
           (global (mut i64) (i64.const 0)) (global (mut i64) (i64.const 0))
           (export \"sum\" (func 0)) (export \"\\00dynload.frames\" (global 0))
           (func (param i32) (result i32) (local i32)
             block
               (i64.add (global.get 0) (i64.const 0x1_0000_0020))
               (br_if 0 (i64.eqz (i64.and (i64.const 0x4000_0000_8000_0000))))
               (global.set 0 (i64.add (global.get 0) (i64.const 0x1_0000_0020)))
               unreachable
             end
             {}))",
        body(&"nop ".repeat(11), "unreachable")
    );
    let original = wat::parse_str(original).unwrap();
    let (rewritten, _) = module(&original, &EngineConfig::default()).unwrap();
    assert_eq!(rewritten, wat::parse_str(documented).unwrap());
}
