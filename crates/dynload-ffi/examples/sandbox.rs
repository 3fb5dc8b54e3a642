//! Uses the flat API from Rust, as a C program does, with the unsafe code visible: `cargo run -p dynload-ffi
//! --example sandbox`

use dynload_ffi::abi::ResourceLimits;
use dynload_ffi::flat::*;

const PLUGIN: &str = r#"(module
    (import "vais" "println" (func $println (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "hello from the plugin")
    (func (export "greet") (call $println (i32.const 0) (i32.const 21)))
    (func (export "spin") (loop (br 0))))"#;

fn last_error() -> String {
    match get_load_error() {
        0 => "no error".to_owned(),
        // SAFETY: it is a valid text, and it is copied before the next call.
        text => unsafe { std::ffi::CStr::from_ptr(text as *const _) }
            .to_string_lossy()
            .into_owned(),
    }
}

fn main() -> Result<(), wat::Error> {
    let wasm = wat::parse_str(PLUGIN)?;
    let sandbox = sandbox_with_limits(ResourceLimits {
        max_time_ms: 50,
        ..default_limits()
    });
    // SAFETY: the bytes and texts outlive the calls.
    unsafe {
        let plugin = sandbox_load(sandbox, wasm.as_ptr() as i64, wasm.len() as i64);
        wasm_call(plugin, c"greet".as_ptr() as i64);
        println!("greet: {}", last_error());
        sandbox_revoke(sandbox, 1);
        wasm_call(plugin, c"greet".as_ptr() as i64);
        println!("greet without the console: {}", last_error());
        wasm_reset(plugin);
        wasm_call(plugin, c"spin".as_ptr() as i64);
        println!("spin: {}", last_error());
    }
    sandbox_destroy(sandbox);
    Ok(())
}
