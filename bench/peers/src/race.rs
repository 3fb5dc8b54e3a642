//! Measures several sides of a comparison in turns.

use std::time::Instant;

use dynload_bench_report::{Against, Row, Samples, Unit, paired};

/// The sides of a comparison. Usually the first one has a budget.
pub(crate) struct Race<'a> {
    what: String,
    sides: Vec<Side<'a>>,
}

struct Side<'a> {
    name: &'static str,
    /// The number of operations in one turn; a sample is the time of one operation.
    per: u32,
    /// The maximum number of rounds, for a slow side.
    rounds: usize,
    budget: Option<f64>,
    work: Box<dyn FnMut() + 'a>,
    samples: Vec<f64>,
}

impl<'a> Race<'a> {
    pub(crate) fn new(what: impl Into<String>) -> Race<'a> {
        Race {
            what: what.into(),
            sides: Vec::new(),
        }
    }

    /// Adds a side, which does `per` operations in one turn.
    pub(crate) fn side(mut self, name: &'static str, per: u32, work: impl FnMut() + 'a) -> Race<'a> {
        self.sides.push(Side {
            name,
            per,
            rounds: usize::MAX,
            budget: None,
            work: Box::new(work),
            samples: Vec::new(),
        });
        self
    }

    /// Sets the maximum ratio of the last side.
    pub(crate) fn budget(mut self, budget: f64) -> Race<'a> {
        if let Some(side) = self.sides.last_mut() {
            side.budget = Some(budget);
        }
        self
    }

    /// Sets the maximum number of rounds of the last side, and skips its warm-up: for work that takes seconds.
    pub(crate) fn at_most(mut self, rounds: usize) -> Race<'a> {
        if let Some(side) = self.sides.last_mut() {
            side.rounds = rounds;
        }
        self
    }

    /// Runs all rounds and returns the rows, compared with the side `base`.
    pub(crate) fn run(mut self, rounds: usize, base: &str) -> Vec<Row> {
        let count = self.sides.len();
        for side in self.sides.iter_mut().filter(|side| side.rounds > rounds) {
            (side.work)();
        }
        for round in 0..rounds {
            for turn in 0..count {
                let side = &mut self.sides[(round + turn) % count];
                if round < side.rounds {
                    let start = Instant::now();
                    (side.work)();
                    let time = start.elapsed().as_secs_f64();
                    side.samples.push(time / f64::from(side.per));
                }
            }
        }
        self.rows(base)
    }

    fn rows(self, base: &str) -> Vec<Row> {
        let theirs = self.sides.iter().find(|side| side.name == base);
        let theirs = theirs.map(|side| side.samples.clone()).unwrap_or_default();
        let base_median = Samples::of(&theirs).map(|samples| samples.median);
        let row = |side: &Side<'_>| {
            let (ratio, middle) = paired(&side.samples, &theirs).unzip();
            Some(Row {
                what: self.what.clone(),
                side: side.name.to_owned(),
                unit: Unit::Seconds,
                samples: Samples::of(&side.samples)?,
                against: base_median
                    .zip(ratio)
                    .zip(middle)
                    .map(|((median, ratio), middle)| Against {
                        side: base.to_owned(),
                        median,
                        ratio,
                        middle,
                    }),
                budget: side.budget,
            })
        };
        self.sides.iter().filter_map(row).collect()
    }
}

/// Returns a row of samples without a comparison.
pub(crate) fn alone(what: &str, side: &str, unit: Unit, values: &[f64], budget: Option<f64>) -> Option<Row> {
    Some(Row {
        what: what.to_owned(),
        side: side.to_owned(),
        unit,
        samples: Samples::of(values)?,
        against: None,
        budget,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn sides_take_turns_and_the_order_changes() {
        let order = RefCell::new(String::new());
        let rows = Race::new("x")
            .side("a", 1, || order.borrow_mut().push('a'))
            .budget(1e9)
            .side("b", 1, || order.borrow_mut().push('b'))
            .side("slow", 1, || order.borrow_mut().push('s'))
            .at_most(1)
            .run(3, "b");
        assert_eq!(order.into_inner(), "ab".to_owned() + "abs" + "ba" + "ab");
        assert_eq!(
            rows.iter().map(|row| row.samples.count).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        assert_eq!(rows[1].against.as_ref().unwrap().ratio, 1.0);
        assert_eq!(rows[0].within(), Some(true));
    }
}
