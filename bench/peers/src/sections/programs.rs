//! Whole programs.

use std::hint::black_box;

use dynload_bench_modules as modules;
use dynload_bench_programs::{Builder, PROGRAMS};
use dynload_bench_report::{Row, Samples, Unit, geometric_mean};

use super::Found;
use crate::engines::{DYNLOAD, RUNNERS, WASMI};
use crate::race::Race;
use crate::{Effort, Outcome};

/// Guests that do little but call themselves.
const RECURSION: [&str; 2] = ["ackermann", "fib"];

/// A module with a function `run` that accepts a number and returns one.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) wasm: Vec<u8>,
    pub(super) argument: i32,
}

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut rows = Vec::new();
    for workload in workloads()? {
        rows.extend(run(effort, &workload));
    }
    let summary = summary(&rows);
    rows.splice(0..0, summary);
    Ok(Found { rows, curves: vec![] })
}

fn workloads() -> Outcome<Vec<Workload>> {
    let mut workloads = Vec::new();
    // The guests in text format repeat a single operation: see `micro`.
    for guest in modules::GUESTS.iter().filter(|guest| guest.language == "c") {
        workloads.push(Workload {
            name: guest.name,
            wasm: modules::guest(guest.name)?,
            argument: guest.large,
        });
    }
    let builder = Builder::new()?;
    for program in PROGRAMS {
        workloads.push(Workload {
            name: program.name,
            wasm: builder.wasm(program)?,
            argument: program.argument,
        });
    }
    Ok(workloads)
}

/// Runs a workload in each engine, in turns.
pub(super) fn run(effort: Effort, workload: &Workload) -> Vec<Row> {
    let mut race = Race::new(workload.name);
    let mut expected = None;
    for runner in &RUNNERS {
        let argument = workload.argument;
        let loaded = (runner.load)(&workload.wasm).and_then(|mut program| Ok((program(argument)?, program)));
        let (value, mut program) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                eprintln!("    {} cannot run `{}`: {error}", runner.name, workload.name);
                continue;
            }
        };
        assert_eq!(
            *expected.get_or_insert(value),
            value,
            "`{}` returns a different result in {}",
            workload.name,
            runner.name
        );
        race = race.side(runner.name, 1, move || {
            black_box(program(argument).expect("it has run before"));
        });
    }
    race.run(effort.of(15, 3), WASMI)
}

/// Summarizes the ratios of the sandbox.
fn summary(rows: &[Row]) -> Vec<Row> {
    let ratios = |recursion: bool| -> Vec<f64> {
        rows.iter()
            .filter(|row| row.side == DYNLOAD && RECURSION.contains(&row.what.as_str()) == recursion)
            .filter_map(|row| row.against.as_ref())
            .map(|against| against.ratio)
            .collect()
    };
    let (programs, recursion) = (ratios(false), ratios(true));
    let worst = |ratios: &[f64]| ratios.iter().copied().max_by(f64::total_cmp);
    let row = |what: String, value: Option<f64>, budget| {
        Some(Row {
            what,
            side: DYNLOAD.to_owned(),
            unit: Unit::Times,
            samples: Samples::one(value?),
            against: None,
            budget: Some(budget),
        })
    };
    [
        row(
            format!("{} programs against bare wasmi, geometric mean", programs.len()),
            geometric_mean(&programs),
            1.12,
        ),
        row("the worst of these".into(), worst(&programs), 1.30),
        row("pure recursion, the worst".into(), worst(&recursion), 1.35),
    ]
    .into_iter()
    .flatten()
    .collect()
}
