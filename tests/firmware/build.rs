//! Builds the plugin, and tells the linker about the memory of the boards.

use dynload_sandbox::{Engine, EngineConfig, Module};
use std::{env, fs, path::PathBuf};

/// The memory of QEMU's `mps2-an386`, of which the image uses a part: what a large microcontroller has.
const CORTEX_M: &str =
    "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 4M  RAM : ORIGIN = 0x20000000, LENGTH = 128K }";

/// The memory of QEMU's `virt`, which has no flash at this address: the image is loaded into RAM.
const RISCV: &str = r#"
MEMORY { FLASH : ORIGIN = 0x80000000, LENGTH = 4M  RAM : ORIGIN = 0x80400000, LENGTH = 128K }
REGION_ALIAS("REGION_TEXT", FLASH);
REGION_ALIAS("REGION_RODATA", FLASH);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
/* Nothing unwinds. */
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.*) } }
"#;

fn main() {
    println!("cargo::rerun-if-changed=src/plugin.wat");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let text = fs::read_to_string("src/plugin.wat").expect("src/plugin.wat is readable");
    // As in `scenario.rs`: whether the peaks are measured is part of a prepared module.
    let engine = Engine::new(EngineConfig::default().with_profile(true));
    for (name, pages) in [("page", "1"), ("small", "4096 (pagesize 1)")] {
        let wasm = wat::parse_str(text.replace("PAGES", pages)).expect("src/plugin.wat is valid");
        let prepared = Module::prepare(&engine, &wasm).expect("the sandbox accepts the plugin");
        fs::write(out.join(name).with_extension("prepared"), prepared).expect("OUT_DIR is writable");
        fs::write(out.join(name).with_extension("wasm"), wasm).expect("OUT_DIR is writable");
    }
    let memory = match env::var("TARGET").as_deref() {
        Ok("thumbv7em-none-eabihf") => CORTEX_M,
        Ok("riscv32imac-unknown-none-elf") => RISCV,
        _ => return,
    };
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR is writable");
    println!("cargo::rustc-link-search={}", out.display());
    if memory == RISCV {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
