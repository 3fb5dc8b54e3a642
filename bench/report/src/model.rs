//! The data of a run.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Samples, Unit};

/// Everything that a run has found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The day, `2026-11-22`.
    pub date: String,
    /// Whether it was a short one, whose numbers are rough.
    pub quick: bool,
    /// Where it ran.
    pub machine: Machine,
    /// What was measured.
    pub groups: Vec<Group>,
}

/// What a run depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The name of the processor.
    pub cpu: String,
    /// How many cores the system has.
    pub cores: usize,
    /// The system and its version.
    pub kernel: String,
    /// `rustc --version`.
    pub rustc: String,
    /// Names and versions of what is compared with.
    pub versions: Vec<(String, String)>,
}

/// Measurements of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// How `--only` calls it.
    pub name: String,
    /// A heading.
    pub title: String,
    /// What has to be known to read the numbers.
    pub note: String,
    /// One for each thing and side.
    pub rows: Vec<Row>,
    /// How something grows; a chart each.
    pub curves: Vec<Curve>,
}

/// One side of one thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Who did it.
    pub side: String,
    /// The unit of the samples.
    pub unit: Unit,
    /// What was measured.
    pub samples: Samples,
    /// What it is compared with.
    pub against: Option<Against>,
    /// The most that the ratio may be, or the median when it is compared with nothing.
    pub budget: Option<f64>,
}

/// A comparison with what was measured in the same rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Against {
    /// Whom.
    pub side: String,
    /// The other's median.
    pub median: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
    /// Between these lie half of the rounds' ratios.
    pub middle: [f64; 2],
}

/// How something grows with its input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// A heading, and the name of the chart's file.
    pub title: String,
    /// What is on the horizontal axis.
    pub input: String,
    /// The unit of the vertical axis.
    pub unit: Unit,
    /// Names of the lines.
    pub sides: Vec<String>,
    /// Their values.
    pub points: Vec<Point>,
}

/// The values at one place of the horizontal axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// The place.
    pub at: f64,
    /// The value of each side.
    pub values: Vec<f64>,
}

impl Row {
    /// The number that the budget is for.
    pub fn judged(&self) -> f64 {
        self.against
            .as_ref()
            .map_or(self.samples.median, |against| against.ratio)
    }

    /// Whether it is within its budget; `None` if it has none.
    pub fn within(&self) -> Option<bool> {
        self.budget.map(|budget| self.judged() <= budget)
    }
}

impl Run {
    /// A run that was kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is of another form.
    pub fn read(file: &Path) -> Result<Run, Box<dyn Error>> {
        let text = std::fs::read_to_string(file).map_err(|cause| {
            format!(
                "{} cannot be read ({cause}): `cargo xtask bench` writes it",
                file.display()
            )
        })?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Keeps it.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Takes over the groups that `before` has and this run has not measured, if it was of the same day and machine: numbers of
    /// different ones do not stand in one table.
    pub fn fill_from(&mut self, before: Run) {
        if before.date != self.date || before.machine != self.machine {
            return;
        }
        for group in before.groups {
            if self.groups.iter().all(|one| one.name != group.name) {
                self.groups.push(group);
            }
        }
    }

    /// The rows that have a budget.
    pub fn budgets(&self) -> impl Iterator<Item = &Row> {
        self.groups
            .iter()
            .flat_map(|group| &group.rows)
            .filter(|row| row.budget.is_some())
    }

    /// The whole run in Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = crate::machine(self);
        for group in &self.groups {
            let _ = write!(text, "\n{}", crate::group(group));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(date: &str, groups: &[&str]) -> Run {
        let group = |name: &&str| Group {
            name: (*name).to_owned(),
            title: String::new(),
            note: String::new(),
            rows: vec![],
            curves: vec![],
        };
        Run {
            date: date.to_owned(),
            groups: groups.iter().map(group).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn only_what_was_measured_beside_is_taken_over() {
        let mut new = run("1", &["a"]);
        new.fill_from(run("1", &["a", "b"]));
        assert_eq!(new.groups.len(), 2);
        let mut later = run("2", &["a"]);
        later.fill_from(new);
        assert_eq!(later.groups.len(), 1);
    }
}
