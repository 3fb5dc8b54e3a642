//! Moves prices between ways so that few of them have to charge.
//!
//! Whatever every way into a place charges more, every way out of it may charge less: all who go through the function still
//! pay the same. So of the two arms of a condition only the dearer one has to charge, the difference; and a loop that is left
//! in the middle charges once a turn, and on the way out what is missing.
//!
//! A price moved so may be paid before what it is for, or after it, but then not much of it: see [`MAX_OWED`]. When the function
//! returns it is paid.
//!
//! The ways that are passed most often are made free first, as far as those before them allow, and no price may become
//! negative. To find out takes a walk from place to place as far as prices have to give way, which is seldom far and is
//! given up after [`MAX_STEPS`]. So the work stays in proportion to the function's size, and with [`ROOM`] the prices do.

use super::ways::{Charge, Entry, Place, Ways};
use alloc::vec::Vec;

/// A way, as far as prices are moved over it.
#[derive(Debug)]
struct Edge {
    from: Place,
    to: Place,
    /// What it charges beyond the least that it has to.
    spare: i64,
    /// Nothing may be added either.
    settled: bool,
    /// The next way out of the same place, and the next into the same place.
    next: [u32; 2],
}

/// Moves prices, function by function, and keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    edges: Vec<Edge>,
    /// For each place the last way out of it and into it, and how many more there are into it than out of it.
    last: Vec<[u32; 2]>,
    surplus: Vec<i64>,
    /// How much all prices together may still grow.
    room: i64,
    /// Ways, those that are passed most often first.
    order: Vec<u64>,
    /// For each place another one from which it is apart by a price that stays as it is, or itself.
    apart: Vec<Place>,
    /// How much was moved over each place so far, to later.
    owed: Vec<i64>,
    /// How much is moved over each place, and which places those are that something is moved over.
    amounts: Vec<i64>,
    moved: Vec<Place>,
}

/// How many ways are looked at, in each direction, to make one free.
const MAX_STEPS: usize = 16;

/// How far payment may fall behind: by moves over a place, and by moves over the outside, which put off all of the function; so
/// twice this at most. A call that is stopped half-way may owe it in each of its frames, and the clock is read that much later.
const MAX_OWED: i64 = 64;

/// The part by which all prices together may grow: a half, and a little for small functions. Each unit of a price is a byte
/// to write and to read again.
const ROOM: i64 = 2;
const MIN_ROOM: i64 = 16;

/// No way.
const NONE: u32 = u32::MAX;

/// Which way a price is moved over a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// From the ways out of it to those into it: it is paid earlier.
    Earlier,
    /// From the ways into it to those out of it.
    Later,
}

/// What comes of moving a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Possible,
    /// Some price would become negative, however far it is moved.
    Impossible,
    /// More would have to be looked at, or written, than it is worth.
    TooFar,
}

/// The ways out of a place, and those into it.
const OUT: usize = 0;
const INTO: usize = 1;

impl Balance {
    /// Moves the prices of a function.
    pub(crate) fn balance(&mut self, ways: &mut Ways) {
        let may_be_free = |entry: &Entry| matches!(entry.charge, Charge::OnDemand | Charge::Branch);
        if !ways
            .entries
            .iter()
            .any(|entry| may_be_free(entry) && entry.price > 0)
        {
            return;
        }
        self.link(ways);
        self.sort(ways);
        let order = core::mem::take(&mut self.order);
        for &way in &order {
            let way = way as u32 as usize;
            let Edge { from, to, spare, .. } = self.edges[way];
            if spare == 0 || self.make_free(from, to, spare) {
                self.settle(way);
            }
        }
        self.order = order;
        for (entry, edge) in ways.entries.iter_mut().zip(&self.edges) {
            entry.price += edge.spare - spare(entry);
        }
    }

    /// Lists the ways out of each place and into it.
    fn link(&mut self, ways: &Ways) {
        let places = ways.places as usize;
        self.last.clear();
        self.last.resize(places, [NONE; 2]);
        self.surplus.clear();
        self.surplus.resize(places, 0);
        self.owed.clear();
        self.owed.resize(places, 0);
        self.amounts.clear();
        self.amounts.resize(places, 0);
        self.apart.clear();
        self.apart.extend((0..ways.places).map(Place));
        self.edges.clear();
        let mut total = 0;
        for (i, entry) in ways.entries.iter().enumerate() {
            let Entry { from, to, fixed, .. } = *entry;
            total += entry.price;
            self.surplus[from.0 as usize] -= 1;
            self.surplus[to.0 as usize] += 1;
            let mut next = [NONE; 2];
            for (side, place) in [(OUT, from), (INTO, to)] {
                let last = &mut self.last[place.0 as usize][side];
                next[side] = core::mem::replace(last, i as u32);
            }
            self.edges.push(Edge {
                from,
                to,
                spare: spare(entry),
                settled: fixed,
                next,
            });
            if fixed {
                self.settle(i);
            }
        }
        self.room = MIN_ROOM + total / ROOM;
    }

    /// Puts the ways that can be made free in order.
    fn sort(&mut self, ways: &Ways) {
        self.order.clear();
        for (i, entry) in ways.entries.iter().enumerate() {
            let weight = match entry.charge {
                Charge::OnDemand => entry.weight,
                // The branch costs as much again.
                Charge::Branch => 2.0 * entry.weight,
                Charge::Always | Charge::Never => continue,
            };
            // The bits of positive numbers are in the same order as the numbers.
            self.order.push(u64::from(!weight.to_bits()) << 32 | i as u64);
        }
        self.order.sort_unstable();
    }

    /// The price of the way stays as it is from now on.
    fn settle(&mut self, way: usize) {
        let Edge { from, to, .. } = self.edges[way];
        self.edges[way].settled = true;
        let (from, to) = (self.group(from), self.group(to));
        self.apart[from.0 as usize] = to;
    }

    /// Stands for all places over which only the same amount can be moved as over this one.
    fn group(&mut self, mut place: Place) -> Place {
        loop {
            let next = self.apart[place.0 as usize];
            if next == place {
                return place;
            }
            let after = self.apart[next.0 as usize];
            self.apart[place.0 as usize] = after;
            place = after;
        }
    }

    /// Moves the price of a way between these places elsewhere, if that can be.
    fn make_free(&mut self, from: Place, to: Place, price: i64) -> bool {
        if self.group(from) == self.group(to) {
            return false;
        }
        let mut outcome = self.shift(to, price, Move::Later, from);
        // What is impossible one way is impossible the other way too, but it may be less far to go.
        if outcome == Outcome::TooFar {
            outcome = self.shift(from, price, Move::Earlier, to);
        }
        outcome == Outcome::Possible
    }

    /// Moves the amount over a place, and as much as that takes over others, but not over `fixed`. Moves nothing if that
    /// is not possible.
    fn shift(&mut self, place: Place, amount: i64, direction: Move, fixed: Place) -> Outcome {
        self.moved.clear();
        self.moved.push(place);
        self.amounts[place.0 as usize] = amount;
        let outcome = self.spread(direction, fixed);
        for i in 0..self.moved.len() {
            let place = self.moved[i].0 as usize;
            // What stands here twice is moved once.
            let amount = core::mem::take(&mut self.amounts[place]);
            if outcome == Outcome::Possible && amount != 0 {
                let more_out = if direction == Move::Later { amount } else { -amount };
                self.owed[place] += more_out;
                for (side, more) in [(OUT, more_out), (INTO, -more_out)] {
                    let mut next = self.last[place][side];
                    while next != NONE {
                        let edge = &mut self.edges[next as usize];
                        edge.spare += more;
                        next = edge.next[side];
                    }
                }
            }
        }
        outcome
    }

    /// Finds over which other places how much has to be moved.
    fn spread(&mut self, direction: Move, fixed: Place) -> Outcome {
        let (cheaper, sign) = match direction {
            Move::Earlier => (OUT, 1),
            Move::Later => (INTO, -1),
        };
        let (edges, last, surplus) = (&self.edges[..], &self.last[..], &self.surplus[..]);
        let (amounts, moved) = (&mut self.amounts[..], &mut self.moved);
        let first = moved[0].0 as usize;
        let mut growth = sign * amounts[first] * surplus[first];
        let mut steps = 0;
        let mut i = 0;
        while let Some(&place) = moved.get(i) {
            i += 1;
            let amount = amounts[place.0 as usize];
            for side in [OUT, INTO] {
                let mut next = last[place.0 as usize][side];
                while next != NONE {
                    steps += 1;
                    if steps > MAX_STEPS {
                        return Outcome::TooFar;
                    }
                    let edge = &edges[next as usize];
                    next = edge.next[side];
                    if side != cheaper && !edge.settled {
                        continue;
                    }
                    let needed = amount - edge.spare;
                    let other = if side == OUT { edge.to } else { edge.from };
                    let before = &mut amounts[other.0 as usize];
                    if needed > *before && other != place {
                        if other == fixed {
                            return Outcome::Impossible;
                        }
                        growth += sign * (needed - *before) * surplus[other.0 as usize];
                        *before = needed;
                        moved.push(other);
                    }
                }
            }
        }
        if growth > self.room || self.moved.iter().any(|place| self.owes_much(*place, direction)) {
            return Outcome::TooFar;
        }
        self.room -= growth;
        Outcome::Possible
    }

    /// Whether the amount would leave more to be paid later than may be owed.
    fn owes_much(&self, place: Place, direction: Move) -> bool {
        let (amount, owed) = (self.amounts[place.0 as usize], self.owed[place.0 as usize]);
        match direction {
            // What is paid earlier outside is what is paid later everywhere else.
            Move::Earlier => place == Place::OUTSIDE && amount - owed > MAX_OWED,
            Move::Later => place != Place::OUTSIDE && amount + owed > MAX_OWED,
        }
    }
}

/// What the way may charge less.
fn spare(entry: &Entry) -> i64 {
    match entry.charge {
        _ if entry.fixed => 0,
        // What is charged for nothing has to be given back.
        Charge::Always => (entry.price - 1).max(0),
        _ => entry.price,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ways::Way, *};
    use proptest::{collection::vec, prelude::*};
    use std::vec;

    const CHARGES: [Charge; 4] = [Charge::Always, Charge::OnDemand, Charge::Branch, Charge::Never];

    /// Ways between so many places, with prices.
    fn ways(places: u32) -> impl Strategy<Value = Ways> {
        let way = (0..places, 0..places, 0..4_usize, 0..30_u64, 0..6_i32);
        vec(way, 1..40).prop_map(move |list| {
            let mut ways = Ways::default();
            ways.clear();
            for _ in 1..places {
                ways.place();
            }
            for (from, to, charge, price, weight) in list {
                let way = ways.open(Place(from), CHARGES[charge], 2.0_f32.powi(weight));
                ways.lead(way, Place(to));
                ways.charge(way, price);
            }
            ways
        })
    }

    /// What each way charges.
    fn prices(ways: &Ways) -> Vec<u64> {
        (0..ways.entries.len())
            .map(|i| ways.price(Way(i as u32)))
            .collect()
    }

    /// What was moved over each place, from what ways charge less than before: `None` if two ways to a place say
    /// different things about it, which is to say that not all who go there have paid the same.
    fn moved(ways: &Ways, before: &[u64], after: &[u64]) -> Option<Vec<i64>> {
        let mut moved: Vec<Option<i64>> = vec![None; ways.places as usize];
        for start in 0..moved.len() {
            moved[start].get_or_insert(0);
            for _ in 0..ways.entries.len() {
                for (i, entry) in ways.entries.iter().enumerate() {
                    let (from, to) = (entry.from.0 as usize, entry.to.0 as usize);
                    let less = before[i] as i64 - after[i] as i64;
                    match (moved[from], moved[to]) {
                        (Some(there), None) => moved[to] = Some(there + less),
                        (None, Some(there)) => moved[from] = Some(there - less),
                        (Some(from), Some(to)) if to - from != less => return None,
                        _ => {}
                    }
                }
            }
        }
        moved.into_iter().collect()
    }

    proptest! {
        #[test]
        fn all_who_go_through_pay_the_same(mut ways in ways(8)) {
            let before = prices(&ways);
            Balance::default().balance(&mut ways);
            let after = prices(&ways);
            prop_assert!(moved(&ways, &before, &after).is_some(), "{before:?} {after:?}");
        }

        #[test]
        fn prices_stay_within_what_they_may_be(mut ways in ways(8)) {
            let before = prices(&ways);
            Balance::default().balance(&mut ways);
            let after = prices(&ways);
            for (i, entry) in ways.entries.iter().enumerate() {
                prop_assert!(entry.price >= 0, "{entry:?}");
                match entry.charge {
                    Charge::Never => prop_assert_eq!(after[i], before[i]),
                    Charge::Always => prop_assert!(after[i] >= before[i].min(1)),
                    Charge::OnDemand | Charge::Branch => {}
                }
            }
            let total = before.iter().sum::<u64>() as i64;
            prop_assert!(after.iter().sum::<u64>() as i64 <= total + total / ROOM + MIN_ROOM);
        }
    }

    /// A way, and what it charges, between two places.
    fn way(ways: &mut Ways, (from, to): (Place, Place), charge: Charge, price: u64) -> Way {
        let way = ways.open(from, charge, 1.0);
        ways.lead(way, to);
        ways.charge(way, price);
        way
    }

    #[test]
    fn of_two_arms_the_dearer_one_charges_the_difference() {
        let mut ways = Ways::default();
        ways.clear();
        let (parting, end) = (ways.place(), ways.place());
        let entry = way(&mut ways, (Place::OUTSIDE, parting), Charge::Always, 1);
        let taken = way(&mut ways, (parting, end), Charge::Branch, 10);
        let behind = way(&mut ways, (parting, end), Charge::OnDemand, 13);
        let out = way(&mut ways, (end, Place::OUTSIDE), Charge::OnDemand, 5);
        Balance::default().balance(&mut ways);
        let prices = [entry, taken, behind, out].map(|way| ways.price(way));
        assert_eq!(prices, [16, 0, 3, 0]);
    }

    #[test]
    fn a_loop_that_is_left_in_the_middle_charges_once_a_turn_and_on_the_way_out() {
        let mut ways = Ways::default();
        ways.clear();
        let (header, middle) = (ways.place(), ways.place());
        way(&mut ways, (Place::OUTSIDE, header), Charge::Always, 9);
        let turn = ways.open(header, Charge::Always, 8.0);
        ways.lead(turn, middle);
        ways.charge(turn, 4);
        let leaves = way(&mut ways, (middle, Place::OUTSIDE), Charge::Branch, 7);
        let rest = ways.open(middle, Charge::OnDemand, 7.0);
        ways.lead(rest, header);
        ways.charge(rest, 3);
        Balance::default().balance(&mut ways);
        assert_eq!([turn, rest].map(|way| ways.price(way)), [7, 0]);
        // What was paid for a turn too many comes off the entry, or off here.
        assert!(ways.price(leaves) <= 7);
    }

    #[test]
    fn a_price_is_not_moved_onto_a_thousand_ways() {
        // All branches of a chain go to one place, behind which much is to be paid: moved onto each of them that would be
        // a thousand times as much.
        let mut ways = Ways::default();
        ways.clear();
        let end = ways.place();
        let mut from = Place::OUTSIDE;
        for _ in 0..1000 {
            let parting = ways.place();
            way(&mut ways, (from, parting), Charge::OnDemand, 2);
            way(&mut ways, (parting, end), Charge::Branch, 0);
            from = parting;
        }
        way(&mut ways, (from, Place::OUTSIDE), Charge::OnDemand, 1);
        way(&mut ways, (end, Place::OUTSIDE), Charge::OnDemand, 1_000_000);
        let before: u64 = prices(&ways).iter().sum();
        Balance::default().balance(&mut ways);
        let after: u64 = prices(&ways).iter().sum();
        assert!(after <= before + before / 2 + MIN_ROOM as u64, "{after}");
    }
}
