//! Each limit of `ResourceLimits`.

use std::io::Result;
use std::time::Instant;

use dynload_ffi::ErrorCode;
use dynload_ffi::abi::{ResourceLimits, WasmInstance, WasmSandbox};
use dynload_ffi::flat::{
    restrictive_limits, sandbox_destroy, sandbox_set_fuel, sandbox_set_profile, sandbox_with_limits,
    wasm_call, wasm_fuel_used, wasm_peak_depth, wasm_peak_memory, wasm_peak_stack,
};

use crate::plugin_files::HUNGRY_WAT;
use crate::stage::Stage;
use crate::text::Text;
use crate::wasm::{File, call1, valid};

/// One limit. The other limits are those of the restrictive preset.
#[derive(Clone, Copy)]
enum Limit {
    Memory,
    Stack,
    Depth,
    Fuel,
}

impl Limit {
    /// Returns the limits with this one set to `value`.
    fn set(self, value: i64) -> (ResourceLimits, Option<i64>) {
        let mut limits = restrictive_limits();
        match self {
            Limit::Memory => limits.max_memory_bytes = value,
            Limit::Stack => limits.max_stack_bytes = value,
            Limit::Depth => limits.max_call_depth = value,
            Limit::Fuel => return (limits, Some(value)),
        }
        (limits, None)
    }

    /// Returns how much the last call of a plugin used.
    fn read(self, plugin: WasmInstance) -> i64 {
        match self {
            Limit::Memory => wasm_peak_memory(plugin),
            Limit::Stack => wasm_peak_stack(plugin),
            Limit::Depth => wasm_peak_depth(plugin),
            Limit::Fuel => wasm_fuel_used(plugin),
        }
    }

    fn code(self) -> ErrorCode {
        match self {
            // `memory.grow` fails in the guest, which decides what to do then: this one traps.
            Limit::Memory => ErrorCode::Trap,
            Limit::Stack => ErrorCode::StackLimit,
            Limit::Depth => ErrorCode::DepthLimit,
            Limit::Fuel => ErrorCode::FuelLimit,
        }
    }
}

pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    std::fs::write(stage.path("hungry.wat"), HUNGRY_WAT)?;
    stage.chapter(
        "Limits: the same sandbox and a plugin that uses too much",
        "hungry.wat uses as much of a resource as it is told to. The meter reports the exact amount: a limit of this amount lets \
         the call finish, and a limit of one less stops it.",
    );
    let preset = restrictive_limits();
    stage.answer(
        "restrictive_limits()  memory, bytes",
        preset.max_memory_bytes,
        16 * 1024 * 1024,
    );
    stage.answer("                      time, ms", preset.max_time_ms, 1000);
    stage.answer(
        "                      stack, bytes",
        preset.max_stack_bytes,
        256 * 1024,
    );
    stage.answer(
        "                      call depth, frames",
        preset.max_call_depth,
        500,
    );

    let hungry = Hungry(File::new("hungry.wat"));
    // One operator to enter the function, eight for each iteration, and one to read the result.
    hungry.tight(stage, Limit::Fuel, "count", 1000, ("operators", 8 * 1000 + 2));
    // Four numbers in each frame: the argument, and at most three operands.
    hungry.tight(stage, Limit::Stack, "nest", 400, ("bytes of stack", 400 * 4 * 8));
    hungry.tight(stage, Limit::Depth, "nest", 400, ("frames", 400));
    hungry.tight(
        stage,
        Limit::Memory,
        "grow",
        100,
        ("bytes of memory", 100 * 65536),
    );
    hungry.too_large_from_the_start(stage);
    hungry.without_end(stage);
    Ok(())
}

/// The plugin's file.
struct Hungry(File);

impl Hungry {
    /// Loads the plugin into its own sandbox, in which the meter also records peaks.
    fn load(&self, (limits, fuel): (ResourceLimits, Option<i64>)) -> (WasmSandbox, WasmInstance) {
        let sandbox = sandbox_with_limits(limits);
        sandbox_set_fuel(sandbox, fuel.unwrap_or(-1));
        sandbox_set_profile(sandbox, 1);
        (sandbox, self.0.load_into(sandbox))
    }

    /// Measures what `function(n)`, which returns `n`, needs. Then runs it with exactly that limit, and with one less.
    fn tight(&self, stage: &mut Stage, limit: Limit, function: &str, n: i64, (unit, expected): (&str, i64)) {
        let (sandbox, plugin) = self.load((restrictive_limits(), None));
        let gave = call1(plugin, function, n);
        let needs = limit.read(plugin);
        let call = format!("{function}({n})");
        let answer = format_args!("{gave}, and needs {needs} {unit}");
        stage.answer(&call, answer, format_args!("{n}, and needs {expected} {unit}"));
        sandbox_destroy(sandbox);

        let (sandbox, plugin) = self.load(limit.set(needs));
        stage.answer(
            &format!("  with a limit of {needs}"),
            call1(plugin, function, n),
            n,
        );
        sandbox_destroy(sandbox);

        let (sandbox, plugin) = self.load(limit.set(needs - 1));
        let stopped = call1(plugin, function, n);
        let says = (needs - 1).to_string();
        stage.failure(
            &format!("  with a limit of {says}"),
            stopped,
            0,
            limit.code(),
            &[&says],
        );
        sandbox_destroy(sandbox);
    }

    /// The initial memory of a module counts too, before any of its code runs.
    fn too_large_from_the_start(&self, stage: &mut Stage) {
        let (sandbox, plugin) = self.load(Limit::Memory.set(65535));
        let answer = valid(plugin);
        let call = "sandbox_load(sandbox, ...) with a limit of 65535 bytes";
        stage.failure(call, answer, "not valid", ErrorCode::MemoryLimit, &["65535"]);
        sandbox_destroy(sandbox);
    }

    fn without_end(&self, stage: &mut Stage) {
        let (sandbox, plugin) = self.load((restrictive_limits(), None));
        let begun = Instant::now();
        // SAFETY: the string outlives the call.
        let stopped = unsafe { wasm_call(plugin, Text::new("spin").at()) };
        let took = begun.elapsed().as_millis();
        stage.failure(
            "spin(), which never ends",
            stopped,
            0,
            ErrorCode::TimeLimit,
            &["time limit of 1 s"],
        );
        // With room for a busy machine; on an idle one, 2 ms are promised.
        stage.answer(
            "was it stopped after one second?",
            yes((1000..1500).contains(&took)),
            "yes",
        );
        sandbox_destroy(sandbox);
    }
}

fn yes(right: bool) -> &'static str {
    if right { "yes" } else { "no" }
}
