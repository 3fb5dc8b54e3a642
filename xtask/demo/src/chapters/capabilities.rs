//! "Capability Checking".

use std::io::Result;

use dynload_ffi::flat::{add_capability, has_capability, has_dangerous_capabilities, remove_capability};

use crate::stage::Stage;
use crate::wasm::File;

/// The specification's numbers.
const CAP_CONSOLE: i64 = 1;
const CAP_TIME: i64 = 2;
const CAP_RANDOM: i64 = 4;
const CAP_NETWORK: i64 = 32;

pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    stage.chapter(
        "Capability checking: is this plugin safe to load?",
        "verify_plugin_safety is the specification's: it returns 1 unless a dangerous capability (FS_WRITE, NETWORK, PROCESS, \
         ENV) is present.",
    );
    let mut caps = CAP_CONSOLE;
    caps = add_capability(caps, CAP_TIME);
    caps = add_capability(caps, CAP_RANDOM);
    stage.answer("caps = CAP_CONSOLE, then add CAP_TIME and CAP_RANDOM", caps, 7);
    stage.answer(
        "has_capability(caps, CAP_NETWORK)",
        has_capability(caps, CAP_NETWORK),
        0,
    );
    stage.answer("verify_plugin_safety(caps)", verify_plugin_safety(caps), 1);
    caps = add_capability(caps, CAP_NETWORK);
    stage.answer("caps = add_capability(caps, CAP_NETWORK)", caps, 39);
    stage.answer(
        "has_capability(caps, CAP_NETWORK)",
        has_capability(caps, CAP_NETWORK),
        1,
    );
    stage.answer("verify_plugin_safety(caps)", verify_plugin_safety(caps), 0);
    caps = remove_capability(caps, CAP_NETWORK);
    stage.answer(
        "verify_plugin_safety(remove_capability(caps, CAP_NETWORK))",
        verify_plugin_safety(caps),
        1,
    );

    stage.note("the imports of a Wasm plugin show what it can use; they are read without running it");
    let required = File::new("plugin.wat").required_capabilities();
    stage.answer(
        "wasm_required_capabilities(bytes of plugin.wat, size)",
        required,
        CAP_CONSOLE | CAP_TIME,
    );
    stage.answer("verify_plugin_safety(3)", verify_plugin_safety(required), 1);
    Ok(())
}

fn verify_plugin_safety(plugin_caps: i64) -> i64 {
    if has_dangerous_capabilities(plugin_caps) == 1 {
        0
    } else {
        1
    }
}
