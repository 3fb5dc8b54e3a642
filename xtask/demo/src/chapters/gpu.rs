//! The capability GPU, on a real device.

use std::io::Result;
use std::path::Path;

use dynload_ffi::ErrorCode;
use dynload_ffi::flat::{
    sandbox_allow_gpu, sandbox_destroy, sandbox_grant, sandbox_new, sandbox_set_fuel, sandbox_set_gpu_limits,
    wasm_fuel_used, wasm_gpu_memory, wasm_reset,
};

use crate::plugin_files::SQUARES_WAT;
use crate::stage::Stage;
use crate::text::Text;
use crate::wasm::{File, call1};

const CAP_GPU: i64 = 512;

/// The sum of the squares of the numbers below 1000.
const SUM: i64 = 332_833_500;

/// Errnos of WASI.
const TOO_BIG: i64 = 1;
const NODEV: i64 = 43;
const NOTCAPABLE: i64 = 76;

pub(crate) fn play(stage: &mut Stage, worker: &Path) -> Result<()> {
    stage.chapter(
        "GPU: a plugin runs its own shader",
        "The shader runs in a process of its own, dynload-gpu-worker. Memory, invocations and fuel are counted before the device \
         sees anything, so they are the same on every device.",
    );
    std::fs::write(stage.path("squares.wat"), SQUARES_WAT)?;
    let file = File::new("squares.wat");
    let sandbox = sandbox_new();
    let plugin = file.load_into(sandbox);
    let squares = "wasm_call1(plugin, \"squares\", 1000)";
    stage.note("without the capability, the functions of GPUs return the errno 76");
    stage.answer(squares, call1(plugin, "squares", 1000), -NOTCAPABLE);

    let sandbox = sandbox_grant(sandbox, CAP_GPU);
    let allow = |device: &str| {
        // SAFETY: the strings outlive the call.
        unsafe {
            sandbox_allow_gpu(
                sandbox,
                Text::new(&worker.to_string_lossy()).at(),
                Text::new(device).at(),
                4000,
            )
        }
    };
    stage.answer("sandbox_allow_gpu(sandbox, worker, \"*\", 4000)", allow("*"), 1);
    stage.answer(
        "sandbox_allow_gpu(sandbox, worker, \"cpu\", 4000)",
        allow("cpu"),
        1,
    );
    let plugin = file.load_into(sandbox);
    let sum = call1(plugin, "squares", 1000);
    if sum == -NODEV {
        stage.note("this machine has no device for Vulkan: on Debian, install mesa-vulkan-drivers");
        sandbox_destroy(sandbox);
        return Ok(());
    }
    stage.answer(squares, sum, SUM);
    stage.answer("wasm_gpu_memory(plugin)", wasm_gpu_memory(plugin), 4000);
    let used = wasm_fuel_used(plugin);

    stage.note("its 1024 invocations are one too many, and then as many as are allowed");
    for (invocations, expected) in [(1023, -TOO_BIG), (1024, SUM)] {
        let call = format!("sandbox_set_gpu_limits(sandbox, {invocations}, 4096)");
        stage.answer(&call, sandbox_set_gpu_limits(sandbox, invocations, 4096), 1);
        let plugin = file.load_into(sandbox);
        stage.answer(squares, call1(plugin, "squares", 1000), expected);
    }

    stage.note("the fuel that it used is enough, and one less is not");
    stage.answer(
        "sandbox_set_fuel(sandbox, what it used - 1)",
        sandbox_set_fuel(sandbox, used - 1),
        1,
    );
    let plugin = file.load_into(sandbox);
    stage.failure(
        squares,
        call1(plugin, "squares", 1000),
        0,
        ErrorCode::FuelLimit,
        &["fuel"],
    );
    stage.answer(
        "sandbox_set_fuel(sandbox, what it used)",
        sandbox_set_fuel(sandbox, used),
        1,
    );
    let plugin = file.load_into(sandbox);
    stage.answer(squares, call1(plugin, "squares", 1000), SUM);
    stage.note("a second call finds no memory for a second buffer, until the plugin is reset");
    stage.answer(squares, call1(plugin, "squares", 1000), -48);
    stage.answer("wasm_reset(plugin)", wasm_reset(plugin), 1);
    stage.answer(squares, call1(plugin, "squares", 1000), SUM);
    sandbox_destroy(sandbox);
    Ok(())
}
