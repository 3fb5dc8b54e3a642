//! Steps that run in order until one fails.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// A single check.
pub(crate) struct Step {
    /// The name for `--only` and `--from`.
    pub(crate) name: &'static str,
    /// What is verified once the step has passed.
    pub(crate) about: &'static str,
    /// Whether `--quick` includes the step.
    pub(crate) quick: bool,
    pub(crate) run: fn() -> Result<(), Failure>,
}

/// Runs the steps: announces and times each one, and prints a summary at the end.
pub(crate) fn run(steps: &[&Step]) -> Result<(), Failure> {
    let start = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        println!("\n[{}/{}] {}: {}", n + 1, steps.len(), step.name, step.about);
        let begun = Instant::now();
        let result = (step.run)();
        let time = begun.elapsed();
        if let Err(failure) = result {
            let alone = format!("to run only this step: cargo xtask test --only {}", step.name);
            return Err(Failure::new(format!(
                "step `{}` ({} of {}) failed after {:.1} s\n{failure}\n{alone}",
                step.name,
                n + 1,
                steps.len(),
                time.as_secs_f64()
            )));
        }
        println!("    ok in {:.1} s", time.as_secs_f64());
        times.push((step.name, time));
    }
    println!(
        "\nall {} steps passed in {:.1} s",
        steps.len(),
        start.elapsed().as_secs_f64()
    );
    for (name, time) in times {
        println!("    {name:<10} {:>7.1} s", time.as_secs_f64());
    }
    Ok(())
}

/// Returns the steps that the arguments select.
pub(crate) fn select<'a>(
    all: &'a [Step],
    quick: bool,
    only: Option<&str>,
    from: Option<&str>,
) -> Result<Vec<&'a Step>, Failure> {
    let find = |name: &str| {
        all.iter().position(|step| step.name == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|step| step.name).collect();
            Failure::new(format!("unknown step `{name}`: use one of {}", names.join(", ")))
        })
    };
    if let Some(only) = only {
        return Ok(vec![&all[find(only)?]]);
    }
    let first = from.map(find).transpose()?.unwrap_or(0);
    Ok(all[first..].iter().filter(|step| !quick || step.quick).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step] = &[
        Step {
            name: "a",
            about: "",
            quick: true,
            run: || Ok(()),
        },
        Step {
            name: "b",
            about: "",
            quick: false,
            run: || Err(Failure::new("b is broken")),
        },
        Step {
            name: "c",
            about: "",
            quick: true,
            run: || Ok(()),
        },
    ];

    fn names(quick: bool, only: Option<&str>, from: Option<&str>) -> Vec<&'static str> {
        select(STEPS, quick, only, from)
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect()
    }

    #[test]
    fn arguments_select_the_steps() {
        assert_eq!(names(false, None, None), ["a", "b", "c"]);
        assert_eq!(names(true, None, None), ["a", "c"]);
        assert_eq!(names(true, Some("b"), None), ["b"]);
        assert_eq!(names(false, None, Some("b")), ["b", "c"]);
        assert!(select(STEPS, false, Some("d"), None).is_err());
    }

    #[test]
    fn the_first_failure_ends_the_run() {
        let all: Vec<&Step> = STEPS.iter().collect();
        let failure = run(&all).unwrap_err().to_string();
        assert!(
            failure.contains("`b` (2 of 3)") && failure.contains("b is broken"),
            "{failure}"
        );
        run(&[&STEPS[0], &STEPS[2]]).unwrap();
    }
}
