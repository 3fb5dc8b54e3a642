//! Numbers with units, formatted for people.

use serde::{Deserialize, Serialize};

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time.
    Seconds,
    /// Memory.
    Bytes,
    /// Operations per second; the only unit of which more is better.
    PerSecond,
    /// A multiple of something else.
    Times,
    /// A share; 1 is the whole.
    Share,
}

impl Unit {
    /// Returns the number with its unit, with three digits.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_bench_report::Unit;
    ///
    /// assert_eq!(Unit::Seconds.show(0.000_012_34), "12.3 µs");
    /// assert_eq!(Unit::Bytes.show(2048.0), "2.00 KiB");
    /// assert_eq!(Unit::Times.show(1.25), "1.25");
    /// assert_eq!(Unit::Share.show(0.0005), "0.0500 %");
    /// ```
    pub fn show(self, value: f64) -> String {
        let scaled = |steps: &[(f64, &str)]| {
            let (size, name) = steps
                .iter()
                .find(|(size, _)| value.abs() >= *size)
                .or(steps.last())
                .copied()
                .unwrap_or((1.0, ""));
            let number = digits(value / size);
            if name.is_empty() {
                number
            } else {
                format!("{number} {name}")
            }
        };
        match self {
            Unit::Seconds => scaled(&[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
            Unit::Bytes => scaled(&[(1048576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")]),
            Unit::PerSecond => scaled(&[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]),
            Unit::Times => format!("{value:.2}"),
            Unit::Share => format!("{} %", digits(value * 100.0)),
        }
    }
}

/// Formats a number with three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}
