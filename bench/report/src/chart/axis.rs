//! A logarithmic axis.

/// Maps values to coordinates.
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Returns an axis with room for all of `values` between the coordinates `from` and `to`.
    pub(super) fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (mut low, mut high) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|value| *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        let (low, high) = (low.min(high), high.max(low * 1.1));
        let low = tick_at_most(low);
        Axis {
            low,
            high: high * 1.1,
            from,
            to,
        }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + (self.to - self.from) * share
    }

    /// Returns the powers of ten in range, with twos and fives between them if there are few.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        for exponent in self.low.log10().floor() as i32..=self.high.log10().ceil() as i32 {
            let power = 10_f64.powi(exponent);
            ticks.extend(steps.iter().map(|step| step * power));
        }
        ticks.retain(|tick| *tick >= self.low * 0.999 && *tick <= self.high);
        ticks
    }
}

/// Returns the largest of 1, 2 and 5 times a power of ten that is at most `value`.
fn tick_at_most(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|step| step * power)
        .find(|tick| *tick <= value)
        .unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_placed_by_their_logarithm() {
        let axis = Axis::new([1.0, 100.0 / 1.1].into_iter(), 0.0, 200.0);
        assert!((axis.place(1.0) - 0.0).abs() < 1e-9);
        assert!((axis.place(10.0) - 100.0).abs() < 1e-9);
        assert_eq!(axis.ticks().first(), Some(&1.0));
    }
}
