//! Moves prices between sites so that few of them have to be opened.
//!
//! Take the place where several ways come together. Whatever its site charges can be charged on each of the ways instead:
//! where a way is all that goes on from a stretch, by the stretch's own site; where it is one side of a `br_if`, by the
//! site of the stretch before it, if the site on the other side charges as much less. Every way through the function
//! still pays the same. So of the two arms of a condition only the dearer one has to charge, the difference; and a loop
//! that is left in the middle charges once a turn.
//!
//! A price moved so may be paid a little before or after what it is for; when the function returns it is paid.

use alloc::vec::Vec;

/// A site, by its number in the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site(u32);

/// How the interpreter charges at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SiteKind {
    /// It charges at least 1 here, wanted or not: the entry of a function, a loop, an arm.
    Always,
    /// It charges only what it is told.
    OnDemand,
}

/// A way into a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pred {
    /// The stretch it comes from.
    pub(crate) from: Site,
    /// The stretch of those who do not go this way: `None` if all do.
    pub(crate) rest: Option<Site>,
}

impl Pred {
    /// All of a stretch go this way.
    pub(crate) fn all(from: Site) -> Pred {
        Pred { from, rest: None }
    }
}

/// The ways into a place, as a list in [`Sites`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Join {
    /// One more than the index of the last way in the list, 0 for none.
    last: u32,
    /// Nothing may be moved: one of the ways is out of a `br_table`.
    fixed: bool,
}

impl Join {
    /// Forbids moving prices over this place.
    pub(crate) fn fix(&mut self) {
        self.fixed = true;
    }
}

#[derive(Debug)]
struct Entry {
    price: i64,
    kind: SiteKind,
    /// How often it is passed: a guess.
    weight: f32,
}

/// The sites of one function, and the ways that lead to them.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    entries: Vec<Entry>,
    /// Ways, each with the one before it in its list.
    ways: Vec<(Pred, u32)>,
    joins: Vec<(Site, Join)>,
}

/// How often all places are looked at. What the first round moves lets the second move more; later ones find little.
const ROUNDS: usize = 2;
/// Places with more ways than this are left alone, so that the work stays in proportion to the function's size.
const MAX_WAYS: usize = 16;

impl Sites {
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.ways.clear();
        self.joins.clear();
    }

    /// A new site without a price.
    pub(crate) fn open(&mut self, kind: SiteKind, weight: f32) -> Site {
        let site = Site(self.entries.len() as u32);
        self.entries.push(Entry {
            price: 0,
            kind,
            weight: weight.min(1e9),
        });
        site
    }

    /// What a site charges.
    pub(crate) fn price(&self, site: Site) -> u64 {
        self.entries[site.0 as usize].price.max(0) as u64
    }

    /// How often a site is passed: a guess.
    pub(crate) fn weight(&self, site: Site) -> f32 {
        self.entries[site.0 as usize].weight
    }

    /// Adds to what a site charges.
    pub(crate) fn charge(&mut self, site: Site, fuel: u64) {
        self.entries[site.0 as usize].price += fuel as i64;
    }

    /// Adds a way to a place.
    pub(crate) fn add(&mut self, join: &mut Join, pred: Pred) {
        self.ways.push((pred, join.last));
        join.last = self.ways.len() as u32;
    }

    /// The place is where `site` is.
    pub(crate) fn join(&mut self, site: Site, join: Join) {
        if !join.fixed {
            self.joins.push((site, join));
        }
    }

    /// The ways into a place, from the last one on.
    fn preds(&self, join: Join) -> impl Iterator<Item = Pred> + '_ {
        let mut next = join.last;
        core::iter::from_fn(move || {
            let (pred, before) = *self.ways.get(next.checked_sub(1)? as usize)?;
            next = before;
            Some(pred)
        })
    }

    /// How often a place is passed, by the ways into it.
    pub(crate) fn weight_of_join(&self, join: &Join) -> f32 {
        self.preds(*join)
            .map(|pred| self.weight(pred.from) * if pred.rest.is_some() { 0.5 } else { 1.0 })
            .sum::<f32>()
            .max(0.01)
    }

    /// Moves prices.
    pub(crate) fn balance(&mut self) {
        let mut preds = Vec::with_capacity(MAX_WAYS);
        let mut amounts = Vec::with_capacity(2 * MAX_WAYS + 1);
        for _ in 0..ROUNDS {
            let mut moved = false;
            // Inner and later places first: what gathers there can move on from the places before.
            for i in (0..self.joins.len()).rev() {
                let (site, join) = self.joins[i];
                preds.clear();
                preds.extend(self.preds(join).take(MAX_WAYS + 1));
                if preds.len() <= MAX_WAYS {
                    moved |= self.settle(site, &preds, &mut amounts);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Moves the amount over one place that helps most. Says whether it moved any.
    fn settle(&mut self, site: Site, preds: &[Pred], amounts: &mut Vec<i64>) -> bool {
        let cost = self.cost_around(site, preds);
        if cost == 0.0 {
            return false;
        }
        // What can be moved without making a price negative.
        let price = self.entries[site.0 as usize].price;
        let (mut least, mut most) = (i64::MIN, price);
        // Amounts that leave some site with nothing to charge.
        amounts.clear();
        for pred in preds {
            least = least.max(-self.entries[pred.from.0 as usize].price);
            amounts.push(-self.spare(pred.from));
            if let Some(rest) = pred.rest {
                most = most.min(self.entries[rest.0 as usize].price);
            }
            amounts.push(pred.rest.map_or(price, |rest| self.spare(rest)));
        }
        amounts.push(price);
        if least == 0 && most == 0 {
            return false;
        }
        let mut best = (0, cost);
        for (i, &amount) in amounts.iter().enumerate() {
            if amount != 0 && least <= amount && amount <= most && !amounts[..i].contains(&amount) {
                let cost = self.cost_after(site, preds, amount);
                if cost < best.1 {
                    best = (amount, cost);
                }
            }
        }
        let (amount, _) = best;
        if amount != 0 {
            self.shift(site, preds, amount);
        }
        amount != 0
    }

    /// What charging around a place would cost after moving `amount` from it to the ways into it: infinite if it cannot
    /// be moved.
    fn cost_after(&mut self, site: Site, preds: &[Pred], amount: i64) -> f32 {
        self.shift(site, preds, amount);
        let cost = self.cost_around(site, preds);
        self.shift(site, preds, -amount);
        cost
    }

    /// What a site charges beyond the least it can.
    fn spare(&self, site: Site) -> i64 {
        let Entry { price, kind, .. } = self.entries[site.0 as usize];
        match kind {
            SiteKind::OnDemand => price,
            SiteKind::Always => price - 1,
        }
    }

    fn shift(&mut self, site: Site, preds: &[Pred], amount: i64) {
        self.entries[site.0 as usize].price -= amount;
        for pred in preds {
            self.entries[pred.from.0 as usize].price += amount;
            if let Some(rest) = pred.rest {
                self.entries[rest.0 as usize].price -= amount;
            }
        }
    }

    /// What charging at the sites around a place costs: counts some of them twice, which does not matter for a comparison.
    fn cost_around(&self, site: Site, preds: &[Pred]) -> f32 {
        let cost = |site: Site| {
            let Entry { price, kind, weight } = self.entries[site.0 as usize];
            match (kind, price) {
                (_, i64::MIN..0) => f32::INFINITY,
                (SiteKind::OnDemand, 0) => 0.0,
                (SiteKind::OnDemand, _) => weight,
                // What is charged for nothing has to be given back.
                (SiteKind::Always, 0) => 4.0 * weight,
                (SiteKind::Always, _) => 0.0,
            }
        };
        let around = preds
            .iter()
            .map(|pred| cost(pred.from) + pred.rest.map_or(0.0, cost));
        cost(site) + around.sum::<f32>()
    }
}
