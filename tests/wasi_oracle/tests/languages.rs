//! The programs in C, Rust, Go and Zig do in Wasmtime what the sandbox's tests require of them.

use std::path::Path;

use dynload_oracle::languages::{self, Language, Run};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

fn run(wasm: &[u8], root: &Path) -> Run {
    let output = [MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20)];
    let context = WasiCtxBuilder::new()
        .arg("report")
        .args(languages::ARGUMENTS)
        .envs(languages::ENVIRONMENT)
        .stdin(MemoryInputPipe::new(languages::INPUT))
        .stdout(output[0].clone())
        .stderr(output[1].clone())
        .allow_blocking_current_thread(true)
        .preopened_dir(root, languages::GUEST_DIRECTORY, FsPerms::ReadWrite)
        .unwrap()
        .build_p1();
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).unwrap();
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context| context).unwrap();
    let mut store = Store::new(&engine, context);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    let error = start.call(&mut store, ()).expect_err("the program exits");
    let exit_code = error.downcast_ref::<I32Exit>().map(|exit| exit.0);
    let [output, errors] = output.map(|pipe| String::from_utf8(pipe.contents().to_vec()).unwrap());
    Run {
        output,
        errors,
        exit_code,
    }
}

#[test]
fn a_program_in_c_reports() {
    languages::check(Language::C, run);
}

#[test]
fn a_program_in_rust_reports() {
    languages::check(Language::Rust, run);
}

#[test]
fn a_program_in_go_reports() {
    languages::check(Language::Go, run);
}

#[test]
fn a_program_in_zig_reports() {
    languages::check(Language::Zig, run);
}
