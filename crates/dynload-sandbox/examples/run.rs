//! Runs a WASI command in a sandbox.
//!
//! ```text
//! cargo run -p dynload-sandbox --example run -- [--limits default|restrictive|permissive] [--fuel N]
//!     [--grant console,fs_read,...] [--dir HOST::GUEST[:ro]]... [--env K=V]... [--net HOST:PORT]...
//!     [--program PATH]... [--workers N] [--usage] MODULE [ARGS...]
//! ```
//!
//! The guest inherits standard input, output and error. The exit code is the guest's, or 1 if it was stopped, or 2 if
//! it could not be started. `--usage` prints the meter's reading to standard error.
#![allow(
    clippy::disallowed_methods,
    reason = "the module itself is the user's file, not the guest's"
)]

use dynload_diagnostics::with_causes;
use dynload_sandbox::{
    Capabilities, Console, ConsoleOutput, Engine, EngineConfig, ErrorKind, Limits, Module, Sandbox, Scopes,
    Usage,
};
use std::{env, error::Error, process::ExitCode};

/// The parsed command line.
struct Command {
    limits: Limits,
    capabilities: Capabilities,
    scopes: Scopes,
    usage: bool,
    module: String,
    args: Vec<String>,
}

const HELP: &str =
    "usage: run [--limits default|restrictive|permissive] [--fuel N] [--grant console,fs_read,...]
           [--dir HOST::GUEST[:ro]]... [--env K=V]... [--net HOST:PORT]... [--program PATH]... [--workers N]
           [--usage] MODULE [ARGS...]";

fn main() -> ExitCode {
    let command = match read_command(env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("run: {error}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("run: {}: {}", command.module, with_causes(&*error));
            ExitCode::from(2)
        }
    }
}

/// Reads the options up to the module; the remaining words are arguments of the module.
fn read_command(mut words: impl Iterator<Item = String>) -> Result<Command, Box<dyn Error>> {
    let mut limits = Limits::DEFAULT;
    let mut fuel = None;
    let mut capabilities = Capabilities::NONE;
    let mut scopes = Scopes::none();
    let mut usage = false;
    loop {
        let word = words.next().ok_or("the module is missing")?;
        let mut value = || words.next().ok_or_else(|| format!("`{word}` requires a value"));
        match word.as_str() {
            "--limits" => {
                limits = match value()?.as_str() {
                    "default" => Limits::DEFAULT,
                    "restrictive" => Limits::RESTRICTIVE,
                    "permissive" => Limits::PERMISSIVE,
                    other => return Err(format!("unknown limits `{other}`").into()),
                }
            }
            "--fuel" => fuel = Some(value()?.parse()?),
            "--grant" => {
                for name in value()?.split(',') {
                    capabilities |= name.trim().parse::<Capabilities>()?;
                }
            }
            "--dir" => scopes.dirs.push(read_dir(&value()?)?),
            "--env" => {
                let value = value()?;
                let (name, value) = value.split_once('=').ok_or("`--env` requires NAME=VALUE")?;
                scopes.env.push(dynload_caps::EnvScope::fixed(name, value)?);
            }
            "--net" => scopes.net.push(value()?.parse()?),
            "--program" => scopes.programs.push(dynload_caps::ProgramScope::new(value()?)?),
            "--workers" => scopes.max_workers = value()?.parse()?,
            "--usage" => usage = true,
            option if option.starts_with("--") => return Err(format!("unknown option `{option}`").into()),
            _ => {
                let limits = match fuel {
                    Some(fuel) => limits.with_fuel(fuel),
                    None => limits.without_fuel_limit(),
                };
                let args = words.collect();
                return Ok(Command {
                    limits,
                    capabilities,
                    scopes,
                    usage,
                    module: word,
                    args,
                });
            }
        }
    }
}

/// Parses `HOST::GUEST`, with `:ro` for a read-only directory.
fn read_dir(text: &str) -> Result<dynload_caps::DirScope, Box<dyn Error>> {
    let (text, access) = match text.strip_suffix(":ro") {
        Some(text) => (text, dynload_caps::Access::ReadOnly),
        None => (text, dynload_caps::Access::ReadWrite),
    };
    let (host, guest) = text.split_once("::").ok_or("`--dir` requires HOST::GUEST")?;
    Ok(dynload_caps::DirScope::new(host, guest, access)?)
}

fn run(command: &Command) -> Result<ExitCode, Box<dyn Error>> {
    let engine = Engine::new(EngineConfig::default().with_profile(command.usage));
    let module = Module::new(&engine, std::fs::read(&command.module)?)?;
    let args = std::iter::once(&command.module).chain(&command.args);
    let sandbox = Sandbox::new(command.limits)
        .with_capabilities(command.capabilities)
        .with_scopes(command.scopes.clone())
        .with_console(
            Console::new(ConsoleOutput::Inherit)
                .with_inherited_input()
                .with_limit(u64::MAX),
        )
        .with_args(args);
    let mut instance = sandbox.instantiate(&module)?;
    // A command has a `_start`. Anything else, such as a reactor, was initialized by `instantiate`.
    let result = match instance.signature("_start") {
        Some(_) => instance.call("_start", &[]).map(drop),
        None => Ok(()),
    };
    if command.usage {
        print_usage(&instance.usage());
    }
    Ok(match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => match error.kind() {
            // Operating systems keep the low eight bits of an exit code.
            ErrorKind::Exit(code) => ExitCode::from(*code as u8),
            _ => {
                eprintln!("run: {}: {}", command.module, with_causes(&error));
                ExitCode::FAILURE
            }
        },
    })
}

fn print_usage(usage: &Usage) {
    eprintln!("fuel: {}", usage.fuel);
    eprintln!("peak memory: {} bytes", usage.peak_memory_bytes);
    if let (Some(stack), Some(depth)) = (usage.peak_stack_bytes, usage.peak_call_depth) {
        eprintln!("peak stack: {stack} bytes in {depth} frames");
    }
    if let Some(time) = usage.wall_time {
        eprintln!("time: {:.3} ms", time.as_secs_f64() * 1e3);
    }
}
