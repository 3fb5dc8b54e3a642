//! Wasmtime, with `wasmtime-wasi`.

use super::{ARGUMENTS, ENVIRONMENT, Ending, Engine, GUEST_DIRECTORY, INPUT};
use std::path::Path;
use std::sync::OnceLock;
use wasmtime::{InstancePre, Linker, Memory, Module, Store, Val, ValType};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

pub(crate) struct Wasmtime {
    store: Store<WasiP1Ctx>,
    instance: wasmtime::Instance,
    memory: Memory,
    output: [MemoryOutputPipe; 2],
}

impl Wasmtime {
    pub(crate) fn new(directory: &Path) -> Wasmtime {
        static LINKED: OnceLock<InstancePre<WasiP1Ctx>> = OnceLock::new();
        let linked = LINKED.get_or_init(|| {
            let engine = wasmtime::Engine::default();
            let wasm = wat::parse_str(crate::guest::wat()).expect("the guest is valid text");
            let module = Module::new(&engine, wasm).expect("the guest is valid");
            let mut linker = Linker::new(&engine);
            p1::add_to_linker_sync(&mut linker, |context| context).expect("the linker is empty");
            linker.instantiate_pre(&module).expect("the guest links")
        });
        let output = [MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20)];
        let context = WasiCtxBuilder::new()
            .args(ARGUMENTS)
            .envs(ENVIRONMENT)
            .stdin(MemoryInputPipe::new(INPUT))
            .stdout(output[0].clone())
            .stderr(output[1].clone())
            .allow_blocking_current_thread(true)
            .preopened_dir(directory, GUEST_DIRECTORY, FsPerms::ReadWrite)
            .expect("the directory opens")
            .build_p1();
        let mut store = Store::new(linked.module().engine(), context);
        let instance = linked
            .instantiate(&mut store)
            .expect("the guest has no start function");
        let memory = instance
            .get_memory(&mut store, "memory")
            .expect("the guest has a memory");
        Wasmtime {
            store,
            instance,
            memory,
            output,
        }
    }
}

impl Engine for Wasmtime {
    fn call(&mut self, function: &str, args: &[i64]) -> Ending {
        let callee = self
            .instance
            .get_func(&mut self.store, function)
            .unwrap_or_else(|| panic!("the guest exports {function}"));
        let ty = callee.ty(&self.store);
        let args: Vec<Val> = ty
            .params()
            .zip(args)
            .map(|(ty, arg)| match ty {
                // The low bits, whatever the sign.
                ValType::I32 => Val::I32(*arg as i32),
                _ => Val::I64(*arg),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match callee.call(&mut self.store, &args, &mut results) {
            Ok(()) => {
                let errno = results
                    .first()
                    .and_then(Val::i32)
                    .expect("a function with a result");
                Ending::Returned(errno.try_into().expect("an errno"))
            }
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ending::Exited(exit.0),
                None => Ending::Trapped,
            },
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.memory
            .write(&mut self.store, at as usize, bytes)
            .expect("inside the memory");
    }

    fn read(&mut self, at: u32, len: u32) -> Vec<u8> {
        self.memory.data(&self.store)[at as usize..][..len as usize].to_vec()
    }

    fn output(&mut self) -> [Vec<u8>; 2] {
        [&self.output[0], &self.output[1]].map(|pipe| pipe.contents().to_vec())
    }
}
