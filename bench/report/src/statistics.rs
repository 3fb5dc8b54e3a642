//! Samples and their statistics.

use serde::{Deserialize, Serialize};

/// Statistics of several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The minimum: on a machine that also does other work, it depends least on that work.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The 99th percentile; the maximum if there are fewer than 100.
    pub p99: f64,
    /// The number of measurements.
    pub count: usize,
}

impl Samples {
    /// Returns the statistics of `values`; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Samples> {
        let sorted = sorted(values);
        Some(Samples {
            min: *sorted.first()?,
            median: at(&sorted, 0.5)?,
            p99: at(&sorted, 0.99)?,
            count: sorted.len(),
        })
    }

    /// Returns the statistics of a single measurement.
    pub fn one(value: f64) -> Samples {
        Samples {
            min: value,
            median: value,
            p99: value,
            count: 1,
        }
    }
}

/// Returns the median of the ratios of the same rounds, and the range that contains the middle half of them.
pub fn paired(ours: &[f64], theirs: &[f64]) -> Option<(f64, [f64; 2])> {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    let sorted = sorted(&ratios);
    Some((at(&sorted, 0.5)?, [at(&sorted, 0.25)?, at(&sorted, 0.75)?]))
}

/// Returns the geometric mean; `None` if there are no values.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Returns the smallest value that at least this share of the sorted values does not exceed (nearest rank).
fn at(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_measured_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let samples = Samples::of(&values).unwrap();
        assert_eq!((samples.min, samples.median, samples.p99), (1.0, 50.0, 99.0));
        assert_eq!(Samples::of(&[]), None);
        assert_eq!(Samples::of(&[7.0]), Some(Samples::one(7.0)));
    }

    #[test]
    fn ratios_are_computed_within_each_round() {
        let (median, [low, high]) = paired(&[2.0, 20.0, 3.0], &[1.0, 10.0, 1.0]).unwrap();
        assert_eq!((median, low, high), (2.0, 2.0, 3.0));
    }

    #[test]
    fn the_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean(&[4.0, 0.25]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
    }
}
