//! The ways through a function, and what is charged on each.
//!
//! A *place* is where ways part or come together; a *way* leads from one place to another, and has a price.

use alloc::vec::Vec;

/// A way, by its number in the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way(pub(super) u32);

/// A place, by its number in the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(super) u32);

impl Place {
    /// Where the function is entered from and returns to.
    pub(crate) const OUTSIDE: Place = Place(0);
}

/// How a way can be charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The interpreter charges at least 1, wanted or not: the entry of a function, a loop, an arm.
    Always,
    /// It charges only what it is told.
    OnDemand,
    /// As `OnDemand`, and a branch of its own has to be written for it: the taken side of a `br_if`.
    Branch,
    /// Not at all: there is nowhere to put it.
    Never,
}

/// What there is to know about a way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) price: i64,
    /// How often it is passed: a guess.
    pub(super) weight: f32,
    pub(super) charge: Charge,
    /// Its price stays as it is.
    pub(super) fixed: bool,
}

/// The ways of one function.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(super) entries: Vec<Entry>,
    pub(super) places: u32,
}

impl Ways {
    /// Starts over with a function.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.places = 1;
    }

    /// A new place.
    pub(crate) fn place(&mut self) -> Place {
        self.places += 1;
        Place(self.places - 1)
    }

    /// A new way, without a price, out of the function until it is known where it leads.
    pub(crate) fn open(&mut self, from: Place, charge: Charge, weight: f32) -> Way {
        let way = Way(self.entries.len() as u32);
        self.entries.push(Entry {
            from,
            to: Place::OUTSIDE,
            price: 0,
            weight: weight.clamp(1e-9, 1e9),
            charge,
            fixed: charge == Charge::Never,
        });
        way
    }

    /// The way leads there.
    pub(crate) fn lead(&mut self, way: Way, to: Place) {
        self.entries[way.0 as usize].to = to;
    }

    /// The way leads nowhere: what it charges is not moved.
    pub(crate) fn end(&mut self, way: Way) {
        let nowhere = self.place();
        let entry = &mut self.entries[way.0 as usize];
        entry.to = nowhere;
        entry.fixed = true;
    }

    /// What a way charges.
    pub(crate) fn price(&self, way: Way) -> u64 {
        self.entries[way.0 as usize].price.max(0) as u64
    }

    /// How a way is charged for.
    pub(crate) fn charge_of(&self, way: Way) -> Charge {
        self.entries[way.0 as usize].charge
    }

    /// How often a way is passed: a guess.
    pub(crate) fn weight(&self, way: Way) -> f32 {
        self.entries[way.0 as usize].weight
    }

    /// Adds to what a way charges.
    pub(crate) fn charge(&mut self, way: Way, fuel: u64) {
        self.entries[way.0 as usize].price += fuel as i64;
    }
}
