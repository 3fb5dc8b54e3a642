//! Whether the interpreter gives its native stack back while it runs.
//!
//! wasmi dispatches by tail calls where it can: each handler ends by jumping to the next. That the compiler makes a jump
//! of it and no call is not promised by the language. Debug assertions or a sanitizer keep it from that; then every
//! operator of a guest leaves a frame behind, and a loop of a few thousand ends the process. No guest may do that, so it
//! is found out before one is compiled, in the very binary that is to run it.

use core::sync::atomic::{AtomicU8, Ordering};
use wasmi::{CompilationMode, Config, Engine, Error, Func, Instance, Module, Store};

/// `probe.wat` as binary. Its functions call the host after each round.
const PROBE: &[u8] = include_bytes!("dispatch/probe.wasm");
/// They go through a few operators, and through all of them. Few come first: where each of all leaves a frame behind, one round
/// would be too much for a small stack already.
const PROBES: [&str; 2] = ["few", "all"];
/// How often.
const ROUNDS: i32 = 32;
/// What the native stack may differ by between two rounds, in bytes. One frame left behind in each makes more.
const TOLERANCE: usize = 256;

/// Whether it does; found out once.
pub(crate) fn gives_stack_back() -> bool {
    if cfg!(feature = "portable-dispatch") {
        return true;
    }
    const YES: u8 = 1;
    const NO: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    // Two threads that both find out find the same.
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let gives_back = |probe| stack_growth(probe).is_ok_and(|bytes| bytes <= TOLERANCE);
            let yes = PROBES.into_iter().all(gives_back);
            KNOWN.store(if yes { YES } else { NO }, Ordering::Relaxed);
            yes
        }
        known => known == YES,
    }
}

/// By how many bytes the native stack is deeper at some call of the host than at another.
fn stack_growth(probe: &str) -> Result<usize, Error> {
    let mut config = Config::default();
    config.consume_fuel(true).compilation_mode(CompilationMode::Eager);
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
    fn the_probe_is_what_its_text_says() {
        let text = include_str!("dispatch/probe.wat");
        let module = wat::parse_str(text).unwrap();
        // Names are the text's alone.
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
    fn the_probe_runs_and_this_build_gives_the_stack_back() {
        for probe in PROBES {
            assert_eq!(stack_growth(probe).unwrap(), 0, "{probe}");
        }
        assert!(gives_stack_back());
    }
}
