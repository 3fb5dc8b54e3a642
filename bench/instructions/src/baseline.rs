//! The stored counts, and the comparison of new counts with them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The maximum growth of a count, in the environment of the baseline or in one that cannot be distinguished from it.
const COUNT_ROOM: f64 = 0.03;
/// The maximum growth of a ratio in any other environment.
const RATIO_ROOM: f64 = 0.10;
/// The maximum difference of bare wasmi's counts in the same environment. Changes of this project do not affect
/// wasmi, so if its counts differ, the processor, the C library or Valgrind differs.
const SAME_PLACE: f64 = 0.005;

/// The compiler, which the counts depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compiler {
    /// `rustc --version`.
    pub(crate) rustc: String,
    /// The architecture and system that it compiles for.
    pub(crate) target: String,
}

impl Compiler {
    /// Returns the compiler that cargo uses here.
    pub(crate) fn current() -> Result<Compiler, Box<dyn Error>> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).arg("--version").output()?;
        Ok(Compiler {
            rustc: String::from_utf8(output.stdout)?.trim().to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        })
    }
}

/// The instructions of one path, for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The sandbox's.
    pub(crate) ours: u64,
    /// Bare wasmi's.
    pub(crate) bare: u64,
}

impl Counts {
    fn ratio(self) -> f64 {
        self.ours as f64 / self.bare as f64
    }
}

/// The counts of all paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    #[serde(flatten)]
    compiler: Compiler,
    pub(crate) paths: BTreeMap<String, Counts>,
}

impl Baseline {
    pub(crate) fn new(compiler: Compiler) -> Baseline {
        Baseline {
            compiler,
            paths: BTreeMap::new(),
        }
    }

    pub(crate) fn read(file: &Path) -> Result<Baseline, Box<dyn Error>> {
        let text = std::fs::read_to_string(file).map_err(|cause| {
            format!(
                "cannot read `{}` ({cause}): run `cargo xtask bench --bless`, which writes it",
                file.display()
            )
        })?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Compares these counts with those of `baseline`.
    pub(crate) fn compare(&self, baseline: &Baseline) -> Comparison {
        let same_place = self.paths.iter().all(|(name, now)| {
            let before = baseline.paths.get(name);
            before.is_none_or(|before| (now.bare as f64 / before.bare as f64 - 1.0).abs() <= SAME_PLACE)
        });
        let elsewhere =
            (self.compiler != baseline.compiler || !same_place).then(|| baseline.compiler.clone());
        let lines = self
            .paths
            .iter()
            .map(|(name, now)| {
                let before = baseline.paths.get(name).copied();
                let growth = before.map(|before| match &elsewhere {
                    None => now.ours as f64 / before.ours as f64 - 1.0,
                    Some(_) => now.ratio() / before.ratio() - 1.0,
                });
                Line {
                    name: name.clone(),
                    now: *now,
                    before,
                    growth,
                }
            })
            .collect();
        let gone = baseline
            .paths
            .keys()
            .filter(|name| !self.paths.contains_key(*name))
            .cloned()
            .collect();
        Comparison {
            elsewhere,
            lines,
            gone,
        }
    }
}

struct Line {
    name: String,
    now: Counts,
    before: Option<Counts>,
    /// The growth of the count, or of the ratio if the baseline was counted elsewhere.
    growth: Option<f64>,
}

/// New counts next to the stored ones, displayed as a table in Markdown.
pub(crate) struct Comparison {
    /// The baseline's compiler, if the baseline was counted elsewhere.
    elsewhere: Option<Compiler>,
    lines: Vec<Line>,
    /// Paths of the baseline that were not counted.
    gone: Vec<String>,
}

impl Comparison {
    fn room(&self) -> f64 {
        if self.elsewhere.is_some() {
            RATIO_ROOM
        } else {
            COUNT_ROOM
        }
    }

    /// Returns whether no path grew by more than is allowed, and the baseline has exactly the paths that were counted.
    pub(crate) fn holds(&self) -> bool {
        self.gone.is_empty()
            && self
                .lines
                .iter()
                .all(|line| line.growth.is_some_and(|growth| growth <= self.room()))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = if self.elsewhere.is_some() {
            "ratio"
        } else {
            "count"
        };
        if let Some(other) = &self.elsewhere {
            writeln!(
                f,
                "the baseline was counted elsewhere (with {} for {}), so the ratio to bare wasmi is compared instead of the counts\n",
                other.rustc, other.target
            )?;
        }
        writeln!(
            f,
            "| path | sandbox | bare wasmi | ratio | baseline | {compared} grew by |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for line in &self.lines {
            let before = match (line.before, &self.elsewhere) {
                (None, _) => "none".to_owned(),
                (Some(before), None) => before.ours.to_string(),
                (Some(before), Some(_)) => format!("{:.3}", before.ratio()),
            };
            let growth = line
                .growth
                .map_or(String::new(), |growth| format!("{:+.2} %", growth * 100.0));
            writeln!(
                f,
                "| {} | {} | {} | {:.3} | {before} | {growth} |",
                line.name,
                line.now.ours,
                line.now.bare,
                line.now.ratio()
            )?;
        }
        writeln!(f)?;
        for line in &self.lines {
            match line.growth {
                None => writeln!(
                    f,
                    "`{}` is not in the baseline: run `cargo xtask bench --bless`",
                    line.name
                )?,
                Some(growth) if growth > self.room() => writeln!(
                    f,
                    "`{}` grew by {:.1} %, and the maximum is {:.0} %: make it cheaper, or, if the cost is justified, \
                     accept the new count with `cargo xtask bench --bless`",
                    line.name,
                    growth * 100.0,
                    self.room() * 100.0
                )?,
                Some(growth) if growth < -self.room() => writeln!(
                    f,
                    "`{}` shrank by {:.1} %: to keep it there, run `cargo xtask bench --bless`",
                    line.name,
                    -growth * 100.0
                )?,
                Some(_) => {}
            }
        }
        for name in &self.gone {
            writeln!(
                f,
                "`{name}` of the baseline is no longer counted: run `cargo xtask bench --bless`"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rustc: &str, ours: u64, bare: u64) -> Baseline {
        let mut baseline = Baseline::new(Compiler {
            rustc: rustc.to_owned(),
            target: "x".to_owned(),
        });
        baseline.paths.insert("call".to_owned(), Counts { ours, bare });
        baseline
    }

    #[test]
    fn more_than_three_per_cent_growth_fails() {
        let before = counted("1", 1_000, 500);
        assert!(counted("1", 1_029, 500).compare(&before).holds());
        assert!(!counted("1", 1_031, 500).compare(&before).holds());
        assert!(
            counted("1", 1_031, 500)
                .compare(&before)
                .to_string()
                .contains("grew by 3.1 %")
        );
        assert!(counted("1", 900, 500).compare(&before).holds());
    }

    #[test]
    fn with_another_compiler_the_ratio_is_compared() {
        let before = counted("1", 1_000, 500);
        assert!(counted("2", 2_000, 1_000).compare(&before).holds());
        assert!(counted("2", 2_190, 1_000).compare(&before).holds());
        assert!(!counted("2", 2_210, 1_000).compare(&before).holds());
    }

    #[test]
    fn if_the_counts_of_bare_wasmi_differ_the_ratio_is_compared() {
        let before = counted("1", 1_000, 500);
        assert!(counted("1", 1_090, 510).compare(&before).holds());
        assert!(!counted("1", 1_040, 501).compare(&before).holds());
    }

    #[test]
    fn a_path_missing_from_either_side_fails() {
        let before = counted("1", 1_000, 500);
        let nothing = Baseline::new(before.compiler.clone());
        assert!(!before.compare(&nothing).holds());
        assert!(!nothing.compare(&before).holds());
    }
}
