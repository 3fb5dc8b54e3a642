//! "WASM Sandbox with Capabilities".

use std::io::Result;
use std::sync::Mutex;

use dynload_ffi::ErrorCode;
use dynload_ffi::abi::{ConsoleFunction, WasmSandbox};
use dynload_ffi::flat::{
    sandbox_destroy, sandbox_grant, sandbox_restrictive, sandbox_revoke, sandbox_set_console, wasm_reset,
};

use crate::plugin_files::PLUGIN_WAT;
use crate::stage::Stage;
use crate::wasm::{File, call1, valid};

/// The specification's CAP_CONSOLE and CAP_TIME.
const CAP_CONSOLE: i64 = 1;
const CAP_TIME: i64 = 2;

/// Shows a call that is denied, granted and revoked a capability.
pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    std::fs::write(stage.path("plugin.wat"), PLUGIN_WAT)?;
    stage.chapter(
        "WASM sandbox with capabilities: an untrusted plugin",
        "plugin.wat has one function, process(x), which prints a line, reads the clock and returns 2 * x. The host decides what \
         it may do, and can change that at any time.",
    );
    let mut sandbox = sandbox_restrictive();
    capture(sandbox);
    stage.answer(
        "sandbox = sandbox_restrictive()",
        shown(sandbox),
        "no capabilities",
    );
    let file = File::new("plugin.wat");
    let plugin = file.load_into(sandbox);
    stage.answer(
        "plugin = sandbox_load(sandbox, bytes of plugin.wat, size)",
        valid(plugin),
        "valid",
    );

    let process = "wasm_call1(plugin, \"process\", 42)";
    let denied = call1(plugin, "process", 42);
    stage.failure(
        process,
        denied,
        0,
        ErrorCode::CapabilityDenied,
        &["vais.println", "console"],
    );
    stage.answer("wasm_is_valid(plugin)", valid(plugin), "not valid");
    stage.note("an aborted call leaves the plugin in a state that cannot be relied on, so it is reset");
    stage.answer("wasm_reset(plugin)", wasm_reset(plugin), 1);

    sandbox = sandbox_grant(sandbox, CAP_CONSOLE);
    stage.answer(
        "sandbox = sandbox_grant(sandbox, CAP_CONSOLE)",
        shown(sandbox),
        "capabilities 1",
    );
    let denied = call1(plugin, "process", 42);
    stage.failure(
        process,
        denied,
        0,
        ErrorCode::CapabilityDenied,
        &["vais.now_ms", "time"],
    );
    stage.plugin_wrote(&written(), "hello from the plugin");
    stage.answer("wasm_reset(plugin)", wasm_reset(plugin), 1);

    sandbox = sandbox_grant(sandbox, CAP_TIME);
    stage.answer(
        "sandbox = sandbox_grant(sandbox, CAP_TIME)",
        shown(sandbox),
        "capabilities 3",
    );
    stage.answer(process, call1(plugin, "process", 42), 84);
    stage.plugin_wrote(&written(), "hello from the plugin");

    sandbox = sandbox_revoke(sandbox, CAP_CONSOLE);
    stage.answer(
        "sandbox = sandbox_revoke(sandbox, CAP_CONSOLE)",
        shown(sandbox),
        "capabilities 2",
    );
    let denied = call1(plugin, "process", 42);
    stage.failure(
        process,
        denied,
        0,
        ErrorCode::CapabilityDenied,
        &["vais.println", "console"],
    );
    stage.answer("sandbox_destroy(sandbox)", sandbox_destroy(sandbox), 1);
    let stale = call1(plugin, "process", 42);
    stage.hide(plugin.handle, "(the handle)");
    stage.failure(process, stale, 0, ErrorCode::InvalidHandle, &["destroyed"]);
    Ok(())
}

fn shown(sandbox: WasmSandbox) -> String {
    match (sandbox.handle, sandbox.capabilities) {
        (0, _) => "no sandbox".to_owned(),
        (_, 0) => "no capabilities".to_owned(),
        (_, capabilities) => format!("capabilities {capabilities}"),
    }
}

/// The output of plugins since it was last taken.
static WRITTEN: Mutex<String> = Mutex::new(String::new());

fn written() -> String {
    WRITTEN
        .lock()
        .map(|mut text| std::mem::take(&mut *text))
        .unwrap_or_default()
}

/// Captures the output of a sandbox's plugins, which would otherwise go to this program's standard output.
fn capture(sandbox: WasmSandbox) {
    unsafe extern "C-unwind" fn console(_userdata: i64, _stream: i64, bytes: *const u8, len: i64) {
        // SAFETY: the library passes the bytes of one write.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, usize::try_from(len).unwrap_or(0)) };
        if let Ok(mut text) = WRITTEN.lock() {
            text.push_str(&String::from_utf8_lossy(bytes));
        }
    }
    let callback: ConsoleFunction = console;
    // SAFETY: the callback has the type that the function requires, and is never freed.
    unsafe { sandbox_set_console(sandbox, callback as usize as i64, 0) };
}
