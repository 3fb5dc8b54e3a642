//! The programs in C, Rust, Go and Zig do in Wasmtime what the sandbox's tests require of them.

use dynload_oracle::languages::{self, Language};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

fn reports(language: Language) {
    let Some(wasm) = language.build().expect("the program compiles") else {
        eprintln!("skipped: the toolchain for {language:?} is not installed");
        return;
    };
    let top = tempfile::tempdir().unwrap();
    let root = languages::create_directory(top.path()).unwrap();
    let output = [MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20)];
    let context = WasiCtxBuilder::new()
        .arg("report")
        .args(languages::ARGUMENTS)
        .envs(languages::ENVIRONMENT)
        .stdin(MemoryInputPipe::new(languages::INPUT))
        .stdout(output[0].clone())
        .stderr(output[1].clone())
        .allow_blocking_current_thread(true)
        .preopened_dir(&root, languages::GUEST_DIRECTORY, FsPerms::ReadWrite)
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
    let exit = error.downcast_ref::<I32Exit>().map(|exit| exit.0);
    let [output, errors] = output.map(|pipe| String::from_utf8(pipe.contents().to_vec()).unwrap());
    assert_eq!(
        (output.as_str(), errors.as_str(), exit),
        (languages::REPORT, languages::ERRORS, Some(languages::EXIT_CODE))
    );
    languages::check_directory(&root);
}

#[test]
fn a_program_in_c_reports() {
    reports(Language::C);
}

#[test]
fn a_program_in_rust_reports() {
    reports(Language::Rust);
}

#[test]
fn a_program_in_go_reports() {
    reports(Language::Go);
}

#[test]
fn a_program_in_zig_reports() {
    reports(Language::Zig);
}
