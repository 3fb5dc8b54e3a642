//! Random sequences of calls: the sandbox and Wasmtime agree, except for the known differences.

use dynload_wasi_oracle::call::Call;
use dynload_wasi_oracle::compare::{self, Verdict};
use dynload_wasi_oracle::generator;
use dynload_wasi_oracle::random::Random;
use std::collections::BTreeMap;

const CALLS: usize = 12;

#[test]
fn random_sequences_agree() {
    let sequences = match std::env::var_os("DYNLOAD_PROVE") {
        Some(count) => count.to_str().and_then(|n| n.parse().ok()).filter(|n| *n > 1).unwrap_or(10_000),
        None => 300,
    };
    let mut known = BTreeMap::<_, usize>::new();
    let mut unknown = BTreeMap::<String, (usize, Vec<Call>, String)>::new();
    let (mut calls, mut short) = (0, 0);
    for seed in 0..sequences {
        let mut random = Random::new(seed);
        let mut made = Vec::new();
        let verdict = compare::run(|world| {
            (made.len() < CALLS).then(|| {
                let call = generator::call(&mut random, world);
                made.push(call.clone());
                call
            })
        });
        calls += made.len();
        match verdict {
            Verdict::Whole(differences) => {
                for difference in differences {
                    *known.entry(difference.name).or_default() += 1;
                }
            }
            Verdict::Short(differences) => {
                short += 1;
                for difference in differences {
                    *known.entry(difference.name).or_default() += 1;
                }
            }
            Verdict::Unknown(_, seen) => {
                let entry = unknown.entry(seen.class()).or_insert_with(|| {
                    let (calls, seen) = compare::shrink(made, seen);
                    (0, calls, format!("sandbox {:?}, Wasmtime {:?}, {:?} {:?}", seen.sandbox, seen.wasmtime, seen.trees, seen.broken))
                });
                entry.0 += 1;
            }
            Verdict::Outputs => {
                unknown
                    .entry("output".to_owned())
                    .or_insert((0, made, String::new()))
                    .0 += 1;
            }
        }
    }
    println!("{sequences} sequences, {calls} calls; {short} ended early at a known difference");
    for (name, count) in known {
        println!("{count:6} {name}");
    }
    for (class, (count, calls, text)) in &unknown {
        println!("\n{count} of {class}");
        for call in calls {
            println!("    {call:?}");
        }
        println!("    {text}");
    }
    assert!(unknown.is_empty(), "{} unknown differences", unknown.len());
}
