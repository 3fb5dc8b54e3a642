//! "Basic Dynamic Loading".

use std::io::Result;
use std::path::Path;

use dynload_ffi::ErrorCode;
use dynload_ffi::abi::ModuleHandle;
use dynload_ffi::flat::{
    get_function, get_library_extension, load_module, module_is_loaded, module_version, reload_module,
    unload_module,
};

use crate::plugin_files::{ANSWER_C, answer_c, compile};
use crate::stage::Stage;
use crate::text::{self, Text};

pub(crate) fn play(stage: &mut Stage) -> Result<()> {
    stage.chapter(
        "Basic dynamic loading: a native plugin in C",
        "A shared library is loaded, called, and replaced while the program runs. What is loaded is a private copy, so the file \
         can be overwritten; and it is looked at before the system's loader sees it, which a damaged file can kill.",
    );
    let source = stage.path("answer.c");
    let name = format!("answer.{}", text::read(get_library_extension()));
    let library = stage.path(&name);
    std::fs::write(&source, ANSWER_C)?;
    compile(&source, &library)?;
    stage.note(&format!(
        "answer.c, whose function answer() gives 41, is compiled to {name}"
    ));

    // SAFETY: here and below: the texts live as long as the calls, the library is the one just built, and no function of it is
    // used once it is unloaded.
    let mut module = unsafe { load_module(Text::new(&name).at()) };
    stage.answer(
        &format!("module = load_module(\"{name}\")"),
        state(module),
        "loaded, version 1",
    );
    stage.answer("get_function(module, \"answer\")()", call(module, "answer"), "41");

    std::fs::write(&source, answer_c(42))?;
    compile(&source, &library)?;
    stage.note(&format!(
        "answer.c is changed to give 42, and compiled over {name}"
    ));
    stage.answer("get_function(module, \"answer\")()", call(module, "answer"), "41");
    // SAFETY: as above.
    module = unsafe { reload_module(module) };
    stage.answer(
        "module = reload_module(module)",
        state(module),
        "loaded, version 2",
    );
    stage.answer("get_function(module, \"answer\")()", call(module, "answer"), "42");

    cut(&library)?;
    stage.note("the file is cut in half, as a copy that was interrupted would leave it");
    // SAFETY: as above; that this file is refused is what is shown.
    module = unsafe { reload_module(module) };
    stage.failure(
        "module = reload_module(module)",
        state(module),
        "loaded, version 2",
        ErrorCode::Load,
        &[&name],
    );
    stage.answer("get_function(module, \"answer\")()", call(module, "answer"), "42");

    // SAFETY: as above.
    let missing = unsafe { get_function(module, Text::new("anwser").at()) };
    stage.failure(
        "get_function(module, \"anwser\")",
        missing,
        0,
        ErrorCode::NotFound,
        &["anwser"],
    );
    // SAFETY: as above.
    stage.answer("unload_module(module)", unsafe { unload_module(module) }, 1);
    // SAFETY: as above.
    let again = unsafe { unload_module(module) };
    stage.hide(format_args!("{:#x}", module.handle), "(the handle)");
    stage.failure(
        "unload_module(module)",
        again,
        0,
        ErrorCode::InvalidHandle,
        &["unloaded"],
    );
    Ok(())
}

fn state(module: ModuleHandle) -> String {
    match module_is_loaded(module) {
        1 => format!("loaded, version {}", module_version(module)),
        _ => "not loaded".to_owned(),
    }
}

/// The answer of a function of the plugin, as text.
pub(super) fn call(module: ModuleHandle, name: &str) -> String {
    // SAFETY: the text lives as long as the call.
    answer(unsafe { get_function(module, Text::new(name).at()) })
}

/// What the function at an address says.
pub(super) fn answer(address: i64) -> String {
    if address == 0 {
        return "no such function".to_owned();
    }
    // SAFETY: the address is that of `answer` in a plugin that is loaded, compiled from `answer.c`.
    let function = unsafe { std::mem::transmute::<usize, extern "C" fn() -> i64>(address as usize) };
    function().to_string()
}

fn cut(library: &Path) -> Result<()> {
    let bytes = std::fs::read(library)?;
    std::fs::write(library, &bytes[..bytes.len() / 2])
}
