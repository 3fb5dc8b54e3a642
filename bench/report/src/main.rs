//! Shows the results of the last benchmark run, or writes them into `bench/RESULTS.md` and the README.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use dynload_bench_report::{Run, chart, folder, readme, results_file};

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    match run(command.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>) -> Result<(), Box<dyn Error>> {
    let run = Run::read(&results_file())?;
    match command {
        Some("readme") => {
            std::fs::write(folder().join("RESULTS.md"), run.to_markdown())?;
            readme::update(&folder().join("../README.md"), &run)
        }
        Some("charts") => chart::write_all(&run, &folder().join("charts")),
        Some("table") => {
            print!("{}", run.to_markdown());
            Ok(())
        }
        _ => Err("usage: dynload-bench-report readme | charts | table".into()),
    }
}
