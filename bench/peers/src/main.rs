//! Measures dynload and its alternatives in one run.
//!
//! The sides of a comparison take turns, in a different order in each round, so other work of the machine affects all
//! of them alike. A ratio is the median of the rounds' ratios.

mod engines;
mod machine;
mod race;
mod sections;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use dynload_bench_report::{Run, chart, folder, group, machine as machine_line, results_file};
use sections::{SECTIONS, Section};

/// The result of a measurement, or the reason why it failed.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// How thorough a run is.
#[derive(Clone, Copy, Debug)]
struct Effort {
    quick: bool,
}

impl Effort {
    /// Returns the first value in a full run, the second in a quick one.
    fn of<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

const USAGE: &str = "usage: cargo xtask bench [--quick] [--only NAME]... [--list]
    --quick      fewer rounds: rough numbers in a few minutes, which are printed and not saved
    --only NAME  one section; keeps the others' results if they are of this day and machine
    --list       lists the sections
or one of --check, --bless (instruction counts), --readme (writes the last run into README.md)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("--child") => sections::memory::child(&arguments[1..]),
        _ => command(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
            while let Some(error) = cause {
                eprintln!("{error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Outcome<()> {
    let mut effort = Effort { quick: false };
    let mut wanted: Vec<&Section> = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => effort.quick = true,
            "--list" => {
                SECTIONS
                    .iter()
                    .for_each(|one| println!("{:12} {}", one.name, one.title));
                return Ok(());
            }
            "--only" => {
                let name = words.next().ok_or(USAGE)?;
                let section = SECTIONS.iter().find(|one| one.name == *name);
                wanted.push(section.ok_or_else(|| format!("unknown section `{name}`: see --list"))?);
            }
            _ => return Err(USAGE.into()),
        }
    }
    if wanted.is_empty() {
        wanted = SECTIONS.iter().collect();
    }
    measure(effort, &wanted)
}

fn measure(effort: Effort, wanted: &[&Section]) -> Outcome<()> {
    let mut run = Run {
        date: machine::today()?,
        quick: effort.quick,
        machine: machine::describe()?,
        groups: Vec::new(),
    };
    println!("{}", machine_line(&run));
    for section in wanted {
        let start = Instant::now();
        eprintln!("measuring {}: {}", section.name, section.title);
        let found = section.run(effort)?;
        println!("{}", group(&found));
        eprintln!("    {:.0} s", start.elapsed().as_secs_f64());
        run.groups.push(found);
    }
    if effort.quick {
        return Ok(());
    }
    if let Ok(before) = Run::read(&results_file()) {
        run.fill_from(before);
    }
    // In the order of a full run, even if this was a part of one.
    run.groups
        .sort_by_key(|group| SECTIONS.iter().position(|one| one.name == group.name));
    run.write(&results_file())?;
    chart::write_all(&run, &folder().join("charts"))?;
    println!("written: bench/results.json, bench/charts");
    Ok(())
}
