//! Counts the machine instructions of the paths that have a budget, with Valgrind's Callgrind, and compares them with
//! `bench/baseline.json`.
//!
//! Counts do not depend on other load on the machine, so small changes are visible: a path that takes over 3 % more
//! instructions than its baseline fails `check`. Counts do depend on the compiler and the machine. If the baseline
//! was counted elsewhere, the ratio to bare wasmi is compared instead, for which both sides are counted now, with a
//! tolerance of 10 %.
#![forbid(unsafe_code)]

mod baseline;
mod callgrind;
mod paths;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use baseline::{Baseline, Compiler, Counts};
use paths::{PATHS, Side};

const USAGE: &str = "usage: dynload-bench-instructions check | bless | list
    check   counts, and compares with the baseline
    bless   counts, and writes the baseline
    list    lists the paths";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["check"] => check(),
        ["bless"] => bless(),
        ["list"] => {
            PATHS
                .iter()
                .for_each(|path| println!("{:18} {}", path.name, path.about));
            Ok(true)
        }
        ["run", name, side, times] => run(name, side, times),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
            while let Some(error) = cause {
                eprintln!("{error}");
                cause = error.source();
            }
            ExitCode::from(2)
        }
    }
}

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../baseline.json")
}

/// The command that Callgrind runs: repeats one side of one path `times` times.
fn run(name: &str, side: &str, times: &str) -> Result<bool, Box<dyn Error>> {
    let path =
        paths::find(name).ok_or_else(|| format!("unknown path `{name}`: run `list` to see the paths"))?;
    let side = Side::parse(side).ok_or_else(|| format!("unknown side `{side}`: use `ours` or `bare`"))?;
    path.run(side, times.parse()?);
    Ok(true)
}

fn count() -> Result<Baseline, Box<dyn Error>> {
    let mut counts = Baseline::new(Compiler::current()?);
    for path in PATHS {
        eprintln!("counting {}", path.name);
        let ours = callgrind::instructions(path, Side::Ours)?;
        let bare = callgrind::instructions(path, Side::Bare)?;
        counts.paths.insert(path.name.to_owned(), Counts { ours, bare });
    }
    Ok(counts)
}

fn check() -> Result<bool, Box<dyn Error>> {
    let file = baseline_file();
    let baseline = Baseline::read(&file)?;
    let comparison = count()?.compare(&baseline);
    print!("{comparison}");
    Ok(comparison.holds())
}

fn bless() -> Result<bool, Box<dyn Error>> {
    let counts = count()?;
    let file = baseline_file();
    if let Ok(before) = Baseline::read(&file) {
        print!("{}", counts.compare(&before));
    }
    counts.write(&file)?;
    println!("written: bench/baseline.json");
    Ok(true)
}
