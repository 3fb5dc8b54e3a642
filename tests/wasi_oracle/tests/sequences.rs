//! Random sequences of calls: the sandbox and Wasmtime agree, except for the known differences.

use dynload_wasi_oracle::call::Call;
use dynload_wasi_oracle::compare::{self, Seen, Verdict};
use dynload_wasi_oracle::differences::DIFFERENCES;
use dynload_wasi_oracle::generator;
use dynload_wasi_oracle::random::Random;
use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;

/// Calls of a sequence.
const CALLS: usize = 12;

/// What was found in some sequences.
#[derive(Default)]
struct Tally {
    calls: usize,
    /// Sequences that ended at a known difference.
    short: usize,
    /// How often each known difference was seen.
    known: BTreeMap<&'static str, usize>,
    /// The unknown differences: for each class the number, and the shortest sequence with what it shows.
    unknown: BTreeMap<String, (usize, String)>,
}

impl Tally {
    fn run(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        let mut calls = Vec::new();
        let verdict = compare::run(|world| {
            (calls.len() < CALLS).then(|| {
                let call = generator::call(&mut random, world);
                calls.push(call.clone());
                call
            })
        });
        self.calls += calls.len();
        let differences = match verdict {
            Verdict::Whole(differences) => differences,
            Verdict::Short(differences) => {
                self.short += 1;
                differences
            }
            Verdict::Unknown(_, seen) => {
                let class = seen.class();
                let shortest = || {
                    let (calls, seen) = compare::shrink(calls, seen);
                    describe(&calls, &seen)
                };
                self.unknown.entry(class).or_insert_with(|| (0, shortest())).0 += 1;
                return;
            }
            Verdict::Outputs => {
                let class = "the output of the guest".to_owned();
                self.unknown
                    .entry(class)
                    .or_insert_with(|| (0, format!("{calls:#?}")))
                    .0 += 1;
                return;
            }
        };
        for difference in differences {
            *self.known.entry(difference.name).or_default() += 1;
        }
    }

    fn add(&mut self, other: Tally) {
        self.calls += other.calls;
        self.short += other.short;
        for (name, count) in other.known {
            *self.known.entry(name).or_default() += count;
        }
        for (class, (count, text)) in other.unknown {
            self.unknown.entry(class).or_insert((0, text)).0 += count;
        }
    }
}

fn describe(calls: &[Call], seen: &Seen) -> String {
    let mut text = String::new();
    for call in calls {
        text += &format!("    {call:?}\n");
    }
    text += &format!("  sandbox: {:?}\n  Wasmtime: {:?}\n", seen.sandbox, seen.wasmtime);
    for line in seen.state.iter().chain(&seen.broken) {
        text += &format!("  {line}\n");
    }
    text
}

/// Runs the sequences of these seeds, on all processors.
fn run(seeds: Range<u64>) -> Tally {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let seeds = &seeds;
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    for seed in seeds.clone().skip(thread).step_by(threads) {
                        tally.run(seed);
                    }
                    tally
                })
            })
            .collect();
        for thread in running {
            tally.add(thread.join().expect("the comparison does not panic"));
        }
    });
    tally
}

#[test]
fn both_agree_except_for_the_known_differences() {
    let is_long = std::env::var_os("DYNLOAD_PROVE").is_some();
    // Another range of seeds, to search for new differences by hand.
    let first = std::env::var("WASI_ORACLE_SEED").map_or(0, |seed| seed.parse().expect("a number"));
    let sequences = if is_long { 10_000 } else { 300 };
    let tally = run(first..first + sequences);
    println!(
        "{sequences} sequences, {} calls; {} sequences ended early, at a known difference",
        tally.calls, tally.short
    );
    for (name, count) in &tally.known {
        println!("{count:6} {name}");
    }
    for (class, (count, text)) in &tally.unknown {
        println!("\n{count} of {class}\n{text}");
    }
    assert!(
        tally.unknown.is_empty(),
        "{} unknown differences",
        tally.unknown.len()
    );
    if is_long && first == 0 {
        let stale: Vec<_> = DIFFERENCES
            .iter()
            .map(|difference| difference.name)
            .filter(|name| !tally.known.contains_key(name))
            .collect();
        assert!(
            stale.is_empty(),
            "never seen, remove them from the table: {stale:?}"
        );
    }
}
