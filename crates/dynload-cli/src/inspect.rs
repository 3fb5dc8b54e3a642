//! `dynload inspect`: what a module or library needs and offers, without running it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dynload_caps::{Capabilities, ImportNeeds, imports};
use dynload_diagnostics::printable;
use dynload_hotreload::ArtifactKind;
use dynload_native::inspect::{HeaderError, LibraryInfo, inspect_bytes};
use dynload_sandbox::{Engine, EngineConfig, Import, Module};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::exit::{Failure, chain, code, print};
use crate::limits::ModuleOptions;
use crate::scan::{count, names};
use crate::{load, progress};

/// Prints what a WebAssembly module or a native library needs and offers. Never runs any of it.
///
/// The contents of the file decide what it is, not its name. A file can be loaded if it is a valid module within the limits, or
/// a library for this machine. An import that `dynload run` does not provide, or provides with another type, is marked and
/// does not change that: another program may provide it.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0    the file can be loaded
  1    the output could not be written
  2    the arguments are wrong
  126  the file cannot be loaded
  127  the file does not exist
  141  the reader of standard output has closed it

Examples:
  dynload inspect plugin.wasm
  dynload inspect --json libplugin.so")]
pub(crate) struct Options {
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    module: ModuleOptions,
    /// A module (.wasm, .wat) or a library (.so, .dylib, .dll).
    file: PathBuf,
}

/// The contents of a file.
enum Contents {
    Wasm(Sizes, Box<Result<Module, String>>),
    Native(Box<Result<LibraryInfo, String>>),
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let path = &options.file;
    let bytes = load::read(path)?;
    let size = bytes.len();
    let config = options.module.engine_config();
    let what = format!("inspecting {} ({size} bytes)", printable(path.display()).path());
    let contents = progress::during(&what, || contents(path, bytes, config));
    let error = match &contents {
        Contents::Wasm(_, result) => result.as_ref().as_ref().err(),
        Contents::Native(result) => result.as_ref().as_ref().err(),
    };
    if options.json {
        print(&format!("{:#}\n", document(path, size, &contents)))?;
    }
    if let Some(error) = error {
        let shown = printable(path.display()).path();
        return Err(Failure::new(
            code::NOT_LOADABLE,
            format!("cannot load `{shown}`: {error}"),
        ));
    }
    if !options.json {
        print(&report(path, size, &contents))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn contents(path: &Path, bytes: Vec<u8>, config: EngineConfig) -> Contents {
    // The error about a prepared module says what to do with it.
    let is_wasm = [b"\0asm".as_slice(), b"\0dynprep"]
        .iter()
        .any(|magic| bytes.starts_with(magic));
    if !(is_wasm || load::is_text(&bytes, path)) {
        let info = inspect_bytes(&bytes);
        let is_named_wasm = matches!(ArtifactKind::of(path), ArtifactKind::Wasm | ArtifactKind::Wat);
        // The name decides what is wrong with a file that is neither.
        if !(is_named_wasm && matches!(info, Err(HeaderError::NotALibrary { .. } | HeaderError::Empty))) {
            let info = info.map_err(|error| match error {
                HeaderError::NotALibrary { found } => {
                    format!("it is {found}, neither a WebAssembly module nor a native library")
                }
                error => chain(&error),
            });
            return Contents::Native(Box::new(info));
        }
    }
    let mut sizes = Sizes::default();
    let module = load::binary(bytes, path).and_then(|bytes| {
        sizes = Sizes::of(&bytes);
        load::compile(&Engine::new(config), &bytes)
    });
    Contents::Wasm(sizes, Box::new(module))
}

/// The sizes of a module's parts. Of a module that is not valid, those before the error.
#[derive(Default)]
struct Sizes {
    /// The bytes in the binary format.
    module: usize,
    functions: usize,
    code: usize,
    data: usize,
    custom: usize,
    /// The initial bytes of all memories that it defines.
    memory: u64,
}

impl Sizes {
    fn of(bytes: &[u8]) -> Sizes {
        let mut sizes = Sizes {
            module: bytes.len(),
            ..Sizes::default()
        };
        if dynload_diagnostics::overflowing_length(bytes).is_some() {
            return sizes;
        }
        for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
            match payload {
                Payload::CodeSectionStart { count, size, .. } => {
                    sizes.functions = count as usize;
                    sizes.code = size as usize;
                }
                Payload::DataSection(section) => sizes.data = section.range().len(),
                Payload::CustomSection(section) => sizes.custom += section.range().len(),
                Payload::MemorySection(section) => {
                    let memories = section.into_iter().map_while(Result::ok);
                    sizes.memory = memories.fold(0, |sum, memory| {
                        let page = memory.page_size_log2.unwrap_or(16).min(16);
                        sum.saturating_add(memory.initial.saturating_mul(1 << page))
                    });
                }
                _ => {}
            }
        }
        sizes
    }
}

/// Returns the capabilities without which some import has no use.
fn required(module: &Module) -> Capabilities {
    let all = module.imports().map(|import| match import.needs {
        ImportNeeds::AllOf(all) => all,
        _ => Capabilities::NONE,
    });
    all.collect()
}

/// Returns the type of the sandbox's function of this name, if there is one.
fn provided(import: &Import<'_>) -> Option<&'static str> {
    imports::find(import.module, import.name).map(|known| known.signature)
}

/// Returns whether the sandbox has a function of this name and type.
fn is_provided(import: &Import<'_>) -> bool {
    provided(import).is_some_and(|provided| provided == import.ty.to_string())
}

fn needs(import: &Import<'_>) -> String {
    if let Some(provided) = provided(import)
        && !is_provided(import)
    {
        return format!("has the wrong type: the sandbox provides {provided}");
    }
    match import.needs {
        ImportNeeds::Nothing => "needs nothing".to_owned(),
        ImportNeeds::AllOf(all) => format!("needs {all}"),
        ImportNeeds::AnyOf(any) => format!("needs any of {any}"),
        _ => "has no provider".to_owned(),
    }
}

fn report(path: &Path, size: usize, contents: &Contents) -> String {
    let shown = printable(path.display()).path();
    let mut text = String::new();
    match contents {
        Contents::Wasm(sizes, result) => {
            let Ok(module) = &**result else { return text };
            text += &format!(
                "{shown}: a WebAssembly module of {}\n",
                count(sizes.module, "byte")
            );
            text += &format!(
                "  code      {} in {}\n",
                count(sizes.code, "byte"),
                count(sizes.functions, "function")
            );
            text += &format!("  data      {}\n", count(sizes.data, "byte"));
            text += &format!("  custom    {}\n", count(sizes.custom, "byte"));
            text += &format!("  memory    {} bytes at the start\n", sizes.memory);
            let required = required(module);
            text += &format!(
                "  requires  {required}\n  can use   {}\n",
                module.required_capabilities()
            );
            let imports = module.imports().map(|import| {
                let name = format!("{}.{}", printable(import.module), printable(import.name));
                [name, printable(&import.ty).to_string(), needs(&import)]
            });
            text += &table("imports", imports.collect());
            let exports = module.exports().map(|export| {
                let name = match export.name {
                    "" => "\"\"".to_owned(),
                    name => printable(name).to_string(),
                };
                [name, printable(&export.ty).to_string(), String::new()]
            });
            text += &table("exports", exports.collect());
        }
        Contents::Native(result) => {
            let Ok(info) = &**result else { return text };
            text += &format!(
                "{shown}: a native library of {size} bytes, {} for {}\n",
                info.format, info.architecture
            );
            if let Some(name) = &info.name {
                text += &format!("  name      {}\n", printable(name));
            }
            for needed in &info.needed {
                text += &format!("  needs     {}\n", printable(needed));
            }
            for run_path in &info.run_paths {
                text += &format!("  run path  {}\n", printable(run_path).path());
            }
        }
    }
    text
}

/// Formats rows as a table with a heading; nothing if there are no rows.
fn table(heading: &str, rows: Vec<[String; 3]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut text = format!("{heading}\n");
    for [name, ty, rest] in &rows {
        let line = format!("  {name:<first$}  {ty:<second$}  {rest}");
        text += &format!("{}\n", line.trim_end());
    }
    text
}

fn document(path: &Path, size: usize, contents: &Contents) -> Value {
    let mut document = json!({ "file": path.to_string_lossy(), "bytes": size });
    let fields = match contents {
        Contents::Wasm(sizes, result) => match &**result {
            Err(error) => json!({ "kind": "wasm", "loadable": false, "error": error }),
            Ok(module) => wasm_document(sizes, module),
        },
        Contents::Native(result) => match &**result {
            Err(error) => json!({ "kind": "native", "loadable": false, "error": error }),
            Ok(info) => json!({
                "kind": "native",
                "loadable": true,
                "error": null,
                "format": info.format.to_string(),
                "architecture": info.architecture,
                "name": info.name,
                "needed": info.needed,
                "run_paths": info.run_paths,
            }),
        },
    };
    if let (Value::Object(document), Value::Object(fields)) = (&mut document, fields) {
        document.extend(fields);
    }
    document
}

fn wasm_document(sizes: &Sizes, module: &Module) -> Value {
    let imports: Vec<Value> = module
        .imports()
        .map(|import| {
            let (all, any) = match import.needs {
                ImportNeeds::AllOf(all) => (all, Capabilities::NONE),
                ImportNeeds::AnyOf(any) => (Capabilities::NONE, any),
                _ => (Capabilities::NONE, Capabilities::NONE),
            };
            json!({
                "module": import.module,
                "name": import.name,
                "type": import.ty.to_string(),
                "provided": is_provided(&import),
                "provided_type": provided(&import),
                "needs_all": names(all),
                "needs_any": names(any),
            })
        })
        .collect();
    let exports: Vec<Value> = module
        .exports()
        .map(|export| json!({ "name": export.name, "type": export.ty.to_string() }))
        .collect();
    json!({
        "kind": "wasm",
        "loadable": true,
        "error": null,
        "sizes": {
            "module": sizes.module,
            "functions": sizes.functions,
            "code": sizes.code,
            "data": sizes.data,
            "custom": sizes.custom,
            "memory": sizes.memory,
        },
        "requires": names(required(module)),
        "can_use": names(module.required_capabilities()),
        "imports": imports,
        "exports": exports,
    })
}
