//! `dynload run`: runs a WASI command, or calls an exported function.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use dynload_caps::Capabilities;
use dynload_caps::imports::{EXTISM, TYPST, VAIS};
use dynload_diagnostics::{listed, printable};
use dynload_sandbox::{
    Console, ConsoleOutput, Engine, Error, ErrorKind, Limit, Module, Sandbox, Usage, ValType, Value,
};

#[cfg(unix)]
use dynload_sandbox::ModuleCache;

use crate::exit::{Failure, chain, code, quoted, write};
use crate::limits::SandboxOptions;
use crate::scan::count;
use crate::{load, number};

/// Runs a WASI command in a sandbox, or calls an exported function with `--invoke`.
///
/// The module is in the binary or the text format. Nothing is granted that `--grant` does not name, not even output.
/// The guest uses the standard input, output and error of this process. Writing to a closed pipe is the errno PIPE (64) for the
/// guest, and 141 is the exit code only if the results cannot be written.
#[derive(Args)]
#[command(
    override_usage = "dynload run [OPTIONS] <MODULE> [ARGS]...",
    after_help = "Exit codes:
  0-255  the guest's own exit code (its low 8 bits)
  1      the function of `--text` returned an error, or the results could not be written
  2      the arguments are wrong
  124    the guest exceeded its time limit
  126    the file is not a loadable module
  127    the file does not exist
  134    the guest was aborted for another reason: a trap, another limit, a denied capability
  141    the results could not be written: the reader of standard output has closed it

Examples:
  dynload run --grant console hello.wasm one two
  dynload run --grant console,fs_read --dir-ro /srv/data::/data --time 30s report.wasm /data
  dynload run --fuel 1000000 --usage --invoke add plugin.wat 40 2
  dynload run --invoke shout --text plugin.wasm hello
  dynload run --prepared --grant console hello.prepared
  dynload run --invoke format --text plugin.wasm - <draft.md >final.md"
)]
pub(crate) struct Options {
    /// The function to call instead of `_start`. ARGS are its arguments; each result is printed on a line.
    ///
    /// An integer is decimal, or hexadecimal after `0x`, in the signed or the unsigned range of its type. A float is decimal
    /// with an optional exponent, or `inf` or `nan`. Each can have a sign: -7, +0x1f, 1.5e-3, -inf.
    #[arg(long, value_name = "EXPORT")]
    invoke: Option<String>,
    /// Calls the function with texts: ARGS, as they are, and for `-` the standard input. Writes the text that it returns.
    ///
    /// The function uses `vais.read_args` and `vais.set_result`, or is of a plugin for typst or Extism. Neither the input nor
    /// the result has to be UTF-8.
    #[arg(long, requires = "invoke")]
    text: bool,
    /// Prints fuel, memory, stack and time to standard error at the end, and the capabilities that the imports can use but
    /// that are not granted.
    #[arg(long)]
    usage: bool,
    /// Keeps prepared modules in this directory, at most 256 MiB, so that a module that is run again loads faster.
    ///
    /// The directory is created if it does not exist. It is an error if others can write to it.
    #[cfg(unix)]
    #[arg(long, value_name = "DIR", conflicts_with = "prepared")]
    cache: Option<std::path::PathBuf>,
    /// Runs a file that `dynload prepare` wrote, which loads faster.
    ///
    /// A prepared module is trusted to count its fuel, stack and calls: if others can change the file, no limit is sure to
    /// hold.
    #[arg(long)]
    prepared: bool,
    #[command(flatten)]
    sandbox: SandboxOptions,
    /// The module, and the arguments of the guest. Options for `dynload` must precede the module.
    // A single positional, so that everything after the module belongs to the guest.
    #[arg(required = true, trailing_var_arg = true, value_names = ["MODULE", "ARGS"])]
    words: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let (path, words) = options
        .words
        .split_first()
        .ok_or_else(|| Failure::new(code::USAGE, "the module is missing"))?;
    let args = words.iter().map(text).collect::<Result<Vec<&str>, Failure>>()?;
    let path = Path::new(path);
    let mut sandbox = options.sandbox.sandbox()?.with_console(
        Console::new(ConsoleOutput::Inherit)
            .with_inherited_input()
            .with_limit(u64::MAX),
    );
    let engine = Engine::new(options.sandbox.module.engine_config().with_profile(options.usage));
    let module = load(options, &engine, path)?;
    let shown = printable(path.display()).path();
    let (export, arguments) = match &options.invoke {
        Some(export) if options.text => (export.as_str(), texts(&args)),
        Some(export) => (export.as_str(), numbers(&module, export, &args)),
        None => {
            sandbox.set_args(std::iter::once(&*path.to_string_lossy()).chain(args.iter().copied()));
            (
                "_start",
                check_command(&module).map(|()| Arguments::Numbers(Vec::new())),
            )
        }
    };
    let arguments = arguments.map_err(|failure| failure.about(&shown))?;
    let call = call(&sandbox, &module, export, &arguments);
    if let Ok(output) = &call.result {
        write(output)?;
        // The prompt of a shell follows.
        if options.text && io::stdout().is_terminal() && !output.ends_with(b"\n") {
            write(b"\n")?;
        }
    }
    if options.usage {
        report_usage(&call, module.required_capabilities() - sandbox.capabilities());
    }
    match call.result {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => ended(&error).map_err(|failure| failure.about(&shown)),
    }
}

/// Loads the module, from the cache if there is one.
fn load(options: &Options, engine: &Engine, path: &Path) -> Result<Module, Failure> {
    #[cfg(unix)]
    if let Some(directory) = &options.cache {
        let cache = ModuleCache::open(directory).map_err(|error| {
            let shown = printable(directory.display()).path().to_string();
            Failure::of(code::USAGE, &error).about(format_args!("the cache `{shown}` cannot be used"))
        })?;
        return load::module(path, |wasm| cache.load(engine, wasm));
    }
    if options.prepared {
        return load::prepared(engine, path);
    }
    load::module(path, |wasm| Module::new(engine, wasm))
}

/// Returns an argument as text: WASI has no other arguments.
fn text(word: &OsString) -> Result<&str, Failure> {
    word.to_str().ok_or_else(|| {
        let word = printable(word.display());
        Failure::new(code::USAGE, format!("the argument `{word}` is not UTF-8"))
    })
}

/// Checks that a module is a command.
fn check_command(module: &Module) -> Result<(), Failure> {
    let functions: Vec<&str> = module
        .exports()
        .filter(|export| export.ty.func().is_some())
        .map(|export| export.name)
        .collect();
    let start = module.exports().find(|export| export.name == "_start");
    if let Some(signature) = start.as_ref().and_then(|start| start.ty.func()) {
        if signature.params.is_empty() && signature.results.is_empty() {
            return Ok(());
        }
        return Err(Failure::new(
            code::NOT_LOADABLE,
            format!("not a command, because its `_start` has the type {signature} instead of () -> ()"),
        ));
    }
    let functions: Vec<String> = functions.into_iter().map(quoted).collect();
    let functions = match functions.as_slice() {
        [] => "it exports no functions".to_owned(),
        functions => format!(
            "call one of its functions with `--invoke`: {}",
            printable(listed(functions)).message()
        ),
    };
    Err(Failure::new(
        code::NOT_LOADABLE,
        format!("not a command, because it does not export `_start`; {functions}"),
    ))
}

/// The arguments of a function.
enum Arguments {
    Numbers(Vec<Value>),
    Texts(Vec<Vec<u8>>),
}

/// Returns arguments as they are, and the standard input for `-`.
fn texts(words: &[&str]) -> Result<Arguments, Failure> {
    let mut texts = Vec::new();
    for word in words {
        let mut text = Vec::new();
        if *word == "-" {
            let read = io::stdin().read_to_end(&mut text);
            read.map_err(|error| Failure::of(code::FAILED, &error).about("cannot read the standard input"))?;
        } else {
            text.extend(word.as_bytes());
        }
        texts.push(text);
    }
    Ok(Arguments::Texts(texts))
}

/// Parses the arguments of a function, by its type.
fn numbers(module: &Module, export: &str, words: &[&str]) -> Result<Arguments, Failure> {
    let usage = |message: String| Failure::new(code::USAGE, format!("{} {message}", quoted(export)));
    let found = module.exports().find(|found| found.name == export);
    let Some(signature) = found.as_ref().and_then(|found| found.ty.func()) else {
        // The call reports it, with the nearest name.
        return Ok(Arguments::Numbers(Vec::new()));
    };
    if !signature.is_callable() {
        return Err(usage(format!(
            "has the type {signature}: only functions of numbers (i32, i64, f32, f64) can be called from outside"
        )));
    }
    if signature.params.len() != words.len() {
        return Err(usage(format!(
            "has the type {signature}: pass {}, not {}",
            count(signature.params.len(), "argument"),
            words.len()
        )));
    }
    let parse = |(&word, &ty): (&&str, &ValType)| {
        number::parse(word, ty).map_err(|error| {
            let failure = usage(format!(
                "has the type {signature}, and {} is {error}",
                quoted(word)
            ));
            if exchanges_texts(module) {
                return failure.with_remedy("to call it with texts, pass `--text`");
            }
            failure
        })
    };
    let numbers: Result<Vec<Value>, Failure> = words.iter().zip(&signature.params).map(parse).collect();
    numbers.map(Arguments::Numbers)
}

/// Returns whether functions of a module are called with texts.
fn exchanges_texts(module: &Module) -> bool {
    module.imports().any(|import| {
        [EXTISM, TYPST].contains(&import.module) || (import.module == VAIS && import.name == "set_result")
    })
}

/// A call that has ended.
struct Call {
    /// What to print.
    result: Result<Vec<u8>, Error>,
    usage: Usage,
    /// Measured here: [`Usage::wall_time`] is not known for short calls.
    time: Duration,
}

/// Calls a function of a new instance, after `_initialize` if there is one.
fn call(sandbox: &Sandbox, module: &Module, export: &str, arguments: &Arguments) -> Call {
    let mut begun = Instant::now();
    let mut attempt = || -> Result<(Vec<u8>, Usage), Error> {
        let mut instance = sandbox.instantiate(module)?;
        // A reactor must be initialized before its functions are called.
        // (https://github.com/WebAssembly/WASI/blob/main/legacy/application-abi.md)
        if !["_start", "_initialize"].contains(&export) && instance.signature("_initialize").is_some() {
            instance.call("_initialize", &[])?;
        }
        begun = Instant::now();
        let output = match arguments {
            Arguments::Numbers(values) => {
                let results = instance.call(export, values)?;
                let lines: String = results.iter().map(|value| number::text(value) + "\n").collect();
                lines.into_bytes()
            }
            Arguments::Texts(texts) => {
                let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
                instance.call_bytes(export, &texts)?
            }
        };
        Ok((output, instance.usage()))
    };
    let (result, usage) = match attempt() {
        Ok((output, usage)) => (Ok(output), usage),
        Err(error) => {
            let usage = error.usage();
            (Err(error), usage)
        }
    };
    Call {
        result,
        usage,
        time: usage.wall_time.unwrap_or_else(|| begun.elapsed()),
    }
}

/// Prints what a call used, and the capabilities that its imports can use but that are not granted: a denied operation is
/// an errno in the guest, which may not report it.
fn report_usage(call: &Call, denied: Capabilities) {
    let mut text = format!(
        "fuel: {}\npeak memory: {} bytes\n",
        call.usage.fuel, call.usage.peak_memory_bytes
    );
    if let (Some(stack), Some(depth)) = (call.usage.peak_stack_bytes, call.usage.peak_call_depth) {
        text += &format!("peak stack: {stack} bytes, peak call depth: {depth}\n");
    }
    text += &format!("time: {:.3} ms\n", call.time.as_secs_f64() * 1e3);
    if !denied.is_empty() {
        text += &format!("not granted: {denied}\n");
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Returns the exit code of a call that ended with an error.
fn ended(error: &Error) -> Result<ExitCode, Failure> {
    if let Some(code) = error.exit_code() {
        // Operating systems keep the low eight bits of an exit code.
        return Ok(ExitCode::from(code as u8));
    }
    let code = match error.kind() {
        ErrorKind::LimitExceeded {
            limit: Limit::Time, ..
        } => code::TIME_LIMIT,
        ErrorKind::MissingImports(_) => code::NOT_LOADABLE,
        ErrorKind::Failed(_) => code::FAILED,
        ErrorKind::NoSuchExport { .. } | ErrorKind::SignatureMismatch { .. } => code::USAGE,
        _ => code::ABORTED,
    };
    // The remedy is that of a Rust program.
    let text = explained(error).replace("use `call_bytes`", "pass `--text`");
    Err(Failure::new(code, text))
}

/// Formats an error of a call, its causes, and the option that would prevent it.
pub(crate) fn explained(error: &Error) -> String {
    let text = chain(error);
    let option = match error.kind() {
        ErrorKind::LimitExceeded { limit, .. } => match limit {
            Limit::Fuel => "raise it with `--fuel`",
            Limit::Memory => "raise it with `--memory`",
            Limit::Time => "raise it with `--time`",
            Limit::Stack => "raise it with `--stack`",
            Limit::CallDepth => "raise it with `--depth`",
            _ => return text,
        },
        ErrorKind::CapabilityDenied { capability, .. } => {
            let names: Vec<&str> = capability.names().collect();
            return format!("{text}; grant it with `--grant {}`", names.join(","));
        }
        ErrorKind::MissingImports(_) if text.contains("the host's setting `imported_memory`") => {
            return text.replace(
                "turn on the host's setting `imported_memory`",
                "pass `--imported-memory`",
            );
        }
        ErrorKind::MissingImports(_) => {
            "the sandbox provides `wasi_snapshot_preview1`, `vais` and `dynload`; see `dynload inspect`"
        }
        _ if error.denied_growth().is_some() => "raise it with `--memory`",
        _ => return text,
    };
    format!("{text}; {option}")
}
