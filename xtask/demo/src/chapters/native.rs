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
        "A shared library is loaded, called, and replaced while the program runs. A private copy is loaded, so the file can be \
         overwritten. It is checked before the dynamic linker sees it, which a damaged file can crash.",
    );
    let source = stage.path("answer.c");
    let name = format!("answer.{}", text::read(get_library_extension()));
    let library = stage.path(&name);
    std::fs::write(&source, ANSWER_C)?;
    compile(&source, &library)?;
    stage.note(&format!(
        "answer.c, whose function answer() returns 41, is compiled to {name}"
    ));

    // SAFETY: here and below: the strings outlive the calls, the library is the one just built, and none of its functions is
    // used after it is unloaded.
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
        "answer.c is changed to return 42, and compiled over {name}"
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
    stage.note("the file is cut to half its size, as an interrupted copy would leave it");
    // SAFETY: as above. This file is rejected, which is the point of this step.
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

/// Calls a function of the plugin and returns its result as text.
pub(super) fn call(module: ModuleHandle, name: &str) -> String {
    // SAFETY: the string outlives the call.
    answer(unsafe { get_function(module, Text::new(name).at()) })
}

/// Calls the function at an address and returns its result as text.
pub(super) fn answer(address: i64) -> String {
    if address == 0 {
        return "no such function".to_owned();
    }
    // SAFETY: the address is that of `answer` in a loaded plugin, compiled from `answer.c`.
    let function = unsafe { std::mem::transmute::<usize, extern "C" fn() -> i64>(address as usize) };
    function().to_string()
}

fn cut(library: &Path) -> Result<()> {
    let bytes = std::fs::read(library)?;
    std::fs::write(library, &bytes[..bytes.len() / 2])
}
