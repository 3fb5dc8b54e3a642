//! A program in each language that compiles to WASI preview 1 finds what it expects, through its standard library.
#![cfg(all(unix, feature = "std"))]

use std::{path::Path, time::Duration};

use dynload_caps::{Access, Capabilities, DirScope, EnvScope, Limits, Scopes};
use dynload_oracle::languages::{self, Language, Run};
use dynload_sandbox::{Console, ConsoleOutput, Engine, ErrorKind, Module, Sandbox, Stream};

fn run(wasm: &[u8], root: &Path) -> Run {
    let mut scopes = Scopes::none();
    let scope = DirScope::new(
        root.to_str().unwrap(),
        languages::GUEST_DIRECTORY,
        Access::ReadWrite,
    );
    scopes.dirs.push(scope.unwrap());
    for (name, value) in languages::ENVIRONMENT {
        scopes.env.push(EnvScope::fixed(*name, *value).unwrap());
    }
    let capabilities = Capabilities::CONSOLE
        | Capabilities::TIME
        | Capabilities::RANDOM
        | Capabilities::FS_READ
        | Capabilities::FS_WRITE
        | Capabilities::ENV;
    // An emulator of another processor takes more than the default minute.
    let limits = Limits::PERMISSIVE.with_time(Duration::from_secs(600));
    let sandbox = Sandbox::new(limits)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
        .with_args(["report"].into_iter().chain(languages::ARGUMENTS.iter().copied()))
        .with_console(Console::new(ConsoleOutput::Buffer).with_input(languages::INPUT.as_bytes()));
    let module = Module::new(&Engine::default(), wasm).expect("the module loads");
    let mut instance = sandbox.instantiate(&module).expect("the module links");
    let error = instance.call("_start", &[]).expect_err("the program exits");
    let [output, errors] =
        [Stream::Out, Stream::Err].map(|stream| String::from_utf8(instance.take_output(stream)).unwrap());
    let exit_code = match error.kind() {
        ErrorKind::Exit(code) => Some(*code),
        _ => None,
    };
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
