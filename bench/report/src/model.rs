//! The data of a run.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Samples, Unit};

/// The results of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The day, `2026-11-22`.
    pub date: String,
    /// Whether it was a quick run, whose numbers are rough.
    pub quick: bool,
    /// The machine of the run.
    pub machine: Machine,
    /// The measurements.
    pub groups: Vec<Group>,
}

/// The properties of a machine that results depend on.
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
    /// Names and versions of the peers.
    pub versions: Vec<(String, String)>,
}

/// Measurements of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// The name for `--only`.
    pub name: String,
    /// A heading.
    pub title: String,
    /// What a reader has to know about the numbers.
    pub note: String,
    /// One row for each measurement and side.
    pub rows: Vec<Row>,
    /// How something grows; one chart for each curve.
    pub curves: Vec<Curve>,
}

/// One side of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// The side that did it.
    pub side: String,
    /// The unit of the samples.
    pub unit: Unit,
    /// The measured samples.
    pub samples: Samples,
    /// The side that it is compared with.
    pub against: Option<Against>,
    /// The maximum of the ratio, or of the median if there is no comparison.
    pub budget: Option<f64>,
}

/// A comparison with another side, measured in the same rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Against {
    /// The other side.
    pub side: String,
    /// The median of the other side.
    pub median: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
    /// The range that contains the middle half of the rounds' ratios.
    pub middle: [f64; 2],
}

/// How something grows with its input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// A heading, and the name of the chart's file.
    pub title: String,
    /// The label of the horizontal axis.
    pub input: String,
    /// The unit of the vertical axis.
    pub unit: Unit,
    /// The names of the lines.
    pub sides: Vec<String>,
    /// The values of the lines.
    pub points: Vec<Point>,
}

/// The values at one position on the horizontal axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// The position.
    pub at: f64,
    /// The value of each side.
    pub values: Vec<f64>,
}

impl Row {
    /// Returns the number that the budget applies to.
    pub fn judged(&self) -> f64 {
        self.against
            .as_ref()
            .map_or(self.samples.median, |against| against.ratio)
    }

    /// Returns whether the row is within its budget; `None` if it has no budget.
    pub fn within(&self) -> Option<bool> {
        self.budget.map(|budget| self.judged() <= budget)
    }
}

impl Run {
    /// Reads a run from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has another format.
    pub fn read(file: &Path) -> Result<Run, Box<dyn Error>> {
        let text = std::fs::read_to_string(file).map_err(|cause| {
            format!(
                "cannot read `{}` ({cause}): run `cargo xtask bench`, which writes it",
                file.display()
            )
        })?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the run to a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Copies the groups of `before` that this run has not measured, if both are of the same day and machine. One
    /// table does not mix numbers of different days or machines.
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

    /// Returns the rows that have a budget.
    pub fn budgets(&self) -> impl Iterator<Item = &Row> {
        self.groups
            .iter()
            .flat_map(|group| &group.rows)
            .filter(|row| row.budget.is_some())
    }

    /// Returns the whole run as Markdown.
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
    fn groups_are_copied_only_from_the_same_day() {
        let mut new = run("1", &["a"]);
        new.fill_from(run("1", &["a", "b"]));
        assert_eq!(new.groups.len(), 2);
        let mut later = run("2", &["a"]);
        later.fill_from(new);
        assert_eq!(later.groups.len(), 1);
    }
}
