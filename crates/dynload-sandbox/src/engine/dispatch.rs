//! Checks that the interpreter releases its native stack while it runs.
//!
//! wasmi dispatches by tail calls where it can: each handler ends with a jump to the next. The language does not guarantee
//! that the compiler emits a jump and not a call. Debug assertions or a sanitizer prevent it; then every operator of a guest
//! leaves a frame on the native stack, and a loop of a few thousand iterations ends the process. No guest may be able to do
//! that, so it is checked before a module is compiled, in the same binary that is to run the guest.

use core::sync::atomic::{AtomicU8, Ordering};
use wasmi::{CompilationMode, Config, Engine, Error, Func, Instance, Module, Store};

/// `probe.wat` in the binary format. Its functions call the host in each round.
const PROBE: &[u8] = include_bytes!("dispatch/probe.wasm");
/// The functions: one runs a few operators, the other all of them. The few come first: where every operator leaves a frame on
/// the stack, a single round of all of them would already be too much for a small stack.
const PROBES: [&str; 2] = ["few", "all"];
/// The number of rounds.
const ROUNDS: i32 = 32;
/// The bytes by which the depth of the native stack may differ between two rounds. A frame left in each round exceeds this.
const TOLERANCE: usize = 256;

/// Returns whether the interpreter releases its native stack. Checks it once.
pub(crate) fn releases_stack() -> bool {
    // Cargo.toml selects it on these three processors, which cannot make the tail calls.
    if cfg!(any(
        feature = "portable-dispatch",
        target_arch = "riscv32",
        target_arch = "s390x",
        target_arch = "x86"
    )) {
        return true;
    }
    const YES: u8 = 1;
    const NO: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    // Two threads that both check it come to the same result.
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let releases_stack = |probe| stack_growth(probe).is_ok_and(|bytes| bytes <= TOLERANCE);
            let yes = PROBES.into_iter().all(releases_stack);
            KNOWN.store(if yes { YES } else { NO }, Ordering::Relaxed);
            yes
        }
        known => known == YES,
    }
}

/// Returns the largest difference, in bytes, between the depths of the native stack at two calls of the host.
fn stack_growth(probe: &str) -> Result<usize, Error> {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager)
        .wasm_custom_page_sizes(true);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, PROBE)?;
    let mut store = Store::new(&engine, (usize::MAX, 0));
    store.set_fuel(u64::MAX)?;
    let mark = Func::wrap(&mut store, |mut host: wasmi::Caller<'_, (usize, usize)>| {
        let here = 0_u8;
        let address = core::ptr::from_ref(core::hint::black_box(&here)).addr();
        let (lowest, highest) = host.data_mut();
        *lowest = address.min(*lowest);
        *highest = address.max(*highest);
    });
    let instance = Instance::new(&mut store, &module, &[mark.into()])?;
    let probe = instance.get_typed_func::<i32, ()>(&store, probe)?;
    probe.call(&mut store, ROUNDS)?;
    let (lowest, highest) = *store.data();
    Ok(highest.saturating_sub(lowest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_binary_probe_matches_its_text() {
        let text = include_str!("dispatch/probe.wat");
        let module = wat::parse_str(text).unwrap();
        // Only the translated text has names, in a custom section.
        let code = |wasm: &[u8]| {
            let sections = wasmparser::Parser::new(0).parse_all(wasm);
            let sections = sections.filter_map(|payload| payload.unwrap().as_section());
            sections
                .filter(|(id, _)| *id != 0)
                .map(|(id, range)| (id, wasm[range].to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(code(&module), code(PROBE));
    }

    #[test]
    fn the_probe_runs_and_this_build_releases_the_stack() {
        for probe in PROBES {
            assert_eq!(stack_growth(probe).unwrap(), 0, "{probe}");
        }
        assert!(releases_stack());
    }
}
