//! Watches a plugin's source, rebuilds and reloads it on every save, and prints versions, times and compiler
//! errors.
//!
//! ```text
//! cargo run -p dynload-hotreload --example watch -- SRC [--call NAME] [--also PATH-OR-GLOB]... [--debounce MS]
//! ```
//!
//! With `--call`, each new version's `int64_t NAME(void)` is called. SRC is a .vais, .rs or .c file, a Cargo.toml,
//! or a library, which is loaded without a build.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use dynload_hotreload::{Config, EventKind, Guard, Reloader, native_loader};

const USAGE: &str = "usage: watch SRC [--call NAME] [--also PATH-OR-GLOB]... [--debounce MS]";

struct Arguments {
    config: Config,
    call: Option<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = std::env::args().skip(1);
    let (mut source, mut call, mut also, mut debounce) = (None, None, Vec::new(), None);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("`{argument}` needs a value\n{USAGE}"));
        match argument.as_str() {
            "--call" => call = Some(value()?),
            "--also" => also.push(value()?),
            "--debounce" => {
                let text = value()?;
                debounce = Some(
                    text.parse()
                        .map_err(|_| format!("`--debounce {text}`: pass a number of milliseconds"))?,
                );
            }
            "--help" | "-h" => return Err(USAGE.to_owned()),
            option if option.starts_with('-') => return Err(format!("unknown option `{option}`\n{USAGE}")),
            _ if source.is_none() => source = Some(argument),
            _ => {
                return Err(format!(
                    "unexpected argument `{argument}`: pass only one source\n{USAGE}"
                ));
            }
        }
    }
    let mut config = Config::new(source.ok_or(USAGE)?);
    for path in also {
        config = config.watch_also(path);
    }
    if let Some(debounce) = debounce {
        config = config.with_debounce(Duration::from_millis(debounce));
    }
    Ok(Arguments { config, call })
}

fn main() -> ExitCode {
    let Arguments { config, call } = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    // SAFETY: users who start this program on their source want its code to run.
    let loader = unsafe { native_loader!() };
    let reloader = match Reloader::new(config, loader) {
        Ok(reloader) => reloader,
        Err(error) => return fail(&error),
    };
    let began = Instant::now();
    let events = reloader.subscribe();
    if let Err(error) = reloader.start() {
        return fail(&error);
    }
    println!(
        "watching {} ({}); press Ctrl-C to stop",
        reloader.source().display(),
        reloader.watch_state()
    );
    for event in events {
        let time = event.at.saturating_duration_since(began);
        println!("{:>9.3} s  {event}", time.as_secs_f64());
        match &event.kind {
            EventKind::Built { output, .. } => indented(output),
            EventKind::Failed { error, .. } => match error.build_output() {
                Some(output) => indented(output),
                None => indented(&error.report()),
            },
            EventKind::Swapped { version, .. } => {
                // After two saves in a row, only the newer version can be called.
                let current = reloader
                    .current()
                    .filter(|current| Guard::version(current) == *version);
                if let (Some(name), Some(plugin)) = (&call, current) {
                    // SAFETY: the user asserts that the plugin exports such a function.
                    match unsafe { plugin.library().symbol::<extern "C" fn() -> i64>(name.as_str()) } {
                        Ok(function) => println!("{:>11}  {name}() = {}", "", function()),
                        Err(error) => println!("{:>11}  {name}: {error}", ""),
                    }
                }
            }
            _ => {}
        }
    }
    ExitCode::SUCCESS
}

fn indented(text: &str) {
    for line in text.trim_end().lines() {
        println!("{:>11}  | {line}", "");
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprint!("{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
