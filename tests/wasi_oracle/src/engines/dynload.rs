//! The sandbox.

use super::{ARGUMENTS, ENVIRONMENT, Ending, Engine, GUEST_DIRECTORY, INPUT};
use dynload_caps::{Access, Capabilities, DirScope, EnvScope, Limits, Scopes};
use dynload_sandbox::{Console, ConsoleOutput, ErrorKind, Instance, Module, Sandbox, Stream, Trap};
use std::path::Path;
use std::sync::OnceLock;

pub(crate) struct Dynload(Instance);

impl Dynload {
    pub(crate) fn new(directory: &Path) -> Dynload {
        static MODULE: OnceLock<Module> = OnceLock::new();
        let module = MODULE.get_or_init(|| {
            let wasm = wat::parse_str(crate::guest::wat()).expect("the guest is valid text");
            Module::new(&dynload_sandbox::Engine::default(), wasm).expect("the guest is valid")
        });
        let mut scopes = Scopes::none();
        let host = directory
            .to_str()
            .expect("temporary directories have UTF-8 names");
        scopes
            .dirs
            .push(DirScope::new(host, GUEST_DIRECTORY, Access::ReadWrite).expect("the scope is valid"));
        for (name, value) in ENVIRONMENT {
            scopes
                .env
                .push(EnvScope::fixed(*name, *value).expect("the scope is valid"));
        }
        let capabilities = Capabilities::CONSOLE
            | Capabilities::TIME
            | Capabilities::RANDOM
            | Capabilities::FS_READ
            | Capabilities::FS_WRITE
            | Capabilities::ENV;
        let sandbox = Sandbox::new(Limits::PERMISSIVE)
            .with_capabilities(capabilities)
            .with_scopes(scopes)
            .with_args(ARGUMENTS.iter().copied())
            .with_console(Console::new(ConsoleOutput::Buffer).with_input(INPUT));
        Dynload(sandbox.instantiate(module).expect("the guest links"))
    }
}

impl Engine for Dynload {
    fn call(&mut self, function: &str, args: &[i64]) -> Ending {
        match self.0.call_i64(function, args) {
            Ok(errno) => Ending::Returned(errno.try_into().expect("an errno")),
            Err(error) => match error.kind() {
                ErrorKind::Exit(code) => Ending::Exited(*code),
                ErrorKind::Trap(Trap::MemoryOutOfBounds) => Ending::Trapped,
                _ => panic!("{function}{args:?}: {error}"),
            },
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        let mut memory = self.0.memory().expect("the guest has a memory");
        memory.write(at, bytes).expect("inside the memory");
    }

    fn read(&mut self, at: u32, len: u32) -> Vec<u8> {
        let memory = self.0.memory().expect("the guest has a memory");
        memory.slice(at, len).expect("inside the memory").to_vec()
    }

    fn output(&mut self) -> [Vec<u8>; 2] {
        [Stream::Out, Stream::Err].map(|stream| self.0.take_output(stream))
    }
}
