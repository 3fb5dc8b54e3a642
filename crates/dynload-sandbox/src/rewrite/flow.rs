//! Decides where fuel is charged.
//!
//! The function is divided into *ways* between the places where control parts or comes together. What stands on a way is
//! paid for at its start. Where the interpreter charges anyway (the entry of a function, of a loop, of an arm of an `if`)
//! that is used. Elsewhere a place to charge is made, if something is to be charged there: behind a `br_if`, on its taken
//! side, and behind the end of a block to which some branch goes.
//!
//! The end of a block is paid for where the block began, if nothing inside escapes beyond it: whoever entered then comes
//! out again, on whatever way. An escape from the very stretch of code in which the block began splits that in two, and the
//! end is paid for with the second; behind any other escape the end pays for itself.
//!
//! That is where [`balance`](super::balance) begins: it moves prices until few ways have anything left to charge.

use super::{
    balance::Balance,
    ways::{Charge, Place, Way, Ways},
};
use alloc::vec::Vec;

/// What a control frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Function,
    Block,
    Loop,
    Then,
    Else,
}

/// A control frame of reachable code.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// What pays where the frame began: for an arm, before the `if`.
    outer: Way,
    /// What pays at its end, `None` if that is the end itself.
    join: Option<Way>,
    /// Whether a branch goes to its label.
    pub(crate) branched_to: bool,
    /// The place of its label.
    label: Place,
    /// Whether a way leads to its label, and how often those that do are passed.
    reached: bool,
    arrivals: f32,
    /// Of an `if`: where its arms part, the first of them, and how often each is passed.
    arms: Option<(Place, Way, f32)>,
}

/// How much more often the inside of a loop runs than what is around it: a guess.
const LOOP_WEIGHT: f32 = 8.0;

/// How often a branch out of a loop is taken: a guess that goes with [`LOOP_WEIGHT`].
const LEAVES_LOOP: f32 = 1.0 / LOOP_WEIGHT;

/// The current point of a function.
#[derive(Debug, Clone, Copy)]
struct Here {
    way: Way,
    /// What pays for what stands here.
    pays: Way,
}

/// The control flow of one function, while it is read.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    ways: Ways,
    balance: Balance,
    frames: Vec<Frame>,
    /// `None` where nothing gets to.
    here: Option<Here>,
    /// What the current point costs and is not yet charged.
    uncharged: u64,
    /// Labels of a `br_table`.
    labels: Vec<u32>,
}

impl Flow {
    /// Starts over with a function; its entry is the first way.
    pub(crate) fn start(&mut self) -> Way {
        self.ways.clear();
        self.frames.clear();
        self.uncharged = 0;
        let entry = self.ways.open(Place::OUTSIDE, Charge::Always, 1.0);
        self.here = Some(Here {
            way: entry,
            pays: entry,
        });
        self.push(Kind::Function, entry, Place::OUTSIDE);
        entry
    }

    /// Goes on at another point.
    fn go_on(&mut self, there: Option<Here>) {
        if let Some(here) = self.here {
            self.ways.charge(here.pays, self.uncharged);
        }
        self.uncharged = 0;
        self.here = there;
    }

    /// Goes on along a new way that pays for itself.
    fn set_out(&mut self, way: Way) {
        self.go_on(Some(Here { way, pays: way }));
    }

    fn push(&mut self, kind: Kind, outer: Way, label: Place) {
        self.frames.push(Frame {
            kind,
            outer,
            join: Some(outer),
            branched_to: false,
            label,
            reached: false,
            arrivals: 0.0,
            arms: None,
        });
    }

    /// Whether anything gets to the current point.
    pub(crate) fn is_reachable(&self) -> bool {
        self.here.is_some()
    }

    /// What a way charges.
    pub(crate) fn price(&self, way: Way) -> u64 {
        self.ways.price(way)
    }

    /// How a way is charged for.
    pub(crate) fn charge_of(&self, way: Way) -> Charge {
        self.ways.charge_of(way)
    }

    /// Moves prices so that few ways have to charge; the function has been read.
    pub(crate) fn balance(&mut self) {
        self.go_on(None);
        self.balance.balance(&mut self.ways);
    }

    /// Control frames that are open.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// The innermost frame.
    pub(crate) fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// Something that costs `fuel` is executed here.
    #[inline(always)]
    pub(crate) fn charge(&mut self, fuel: u64) {
        self.uncharged += fuel;
    }

    /// Enters a `block`.
    pub(crate) fn block(&mut self) {
        if let Some(here) = self.here {
            let end = self.ways.place();
            self.push(Kind::Block, here.pays, end);
        }
    }

    /// Enters a `loop`. Gives the way from its header on.
    pub(crate) fn enter_loop(&mut self) -> Option<Way> {
        let here = self.here?;
        let header = self.ways.place();
        self.ways.lead(here.way, header);
        self.push(Kind::Loop, here.pays, header);
        let weight = self.ways.weight(here.way) * LOOP_WEIGHT;
        let turn = self.ways.open(header, Charge::Always, weight);
        self.set_out(turn);
        Some(turn)
    }

    /// Enters the first arm of an `if`.
    pub(crate) fn enter_if(&mut self) -> Option<Way> {
        let here = self.here?;
        let (parting, end) = (self.ways.place(), self.ways.place());
        self.ways.lead(here.way, parting);
        self.push(Kind::Then, here.pays, end);
        let weight = self.ways.weight(here.way) / 2.0;
        let arm = self.ways.open(parting, Charge::Always, weight);
        if let Some(frame) = self.frames.last_mut() {
            frame.arms = Some((parting, arm, weight));
        }
        self.set_out(arm);
        Some(arm)
    }

    /// Enters the second arm of an `if`. The price of the `if` itself moves into both arms: the interpreter charges at
    /// least 1 in each, and this is it.
    pub(crate) fn enter_else(&mut self) -> Option<Way> {
        self.arrive();
        let frame = self.frames.last_mut()?;
        let (parting, then, weight) = frame.arms?;
        frame.kind = Kind::Else;
        let arm = self.ways.open(parting, Charge::Always, weight);
        for arm in [then, arm] {
            self.ways.charge(arm, 1);
        }
        self.set_out(arm);
        Some(arm)
    }

    /// The current point is the end of the innermost frame.
    fn arrive(&mut self) {
        if let (Some(here), Some(frame)) = (self.here, self.frames.last_mut()) {
            self.ways.lead(here.way, frame.label);
            frame.reached = true;
            frame.arrivals += self.ways.weight(here.way);
        }
        self.go_on(None);
    }

    /// Leaves the innermost frame. Gives the new way behind its end, if one begins there.
    pub(crate) fn end(&mut self) -> Option<Way> {
        let frame = self.frames.last()?;
        match frame.kind {
            Kind::Loop => {
                if let (Some(here), Some(join)) = (self.here, frame.join) {
                    self.go_on(Some(Here { pays: join, ..here }));
                }
                self.frames.pop();
                return None;
            }
            // Without a branch to it, the end of a block is no place at all.
            Kind::Block if !frame.branched_to => {
                self.frames.pop();
                return None;
            }
            _ => {}
        }
        self.arrive();
        let mut frame = self.frames.pop()?;
        if let (Kind::Then, Some((parting, _, weight))) = (frame.kind, frame.arms) {
            // There is no second arm: whoever does not enter the first pays for the `if` before it.
            self.ways.charge(frame.outer, 1);
            let past = self.ways.open(parting, Charge::Never, weight);
            self.ways.lead(past, frame.label);
            frame.reached = true;
            frame.arrivals += weight;
        }
        if !frame.reached || frame.kind == Kind::Function {
            return None;
        }
        let way = self.ways.open(frame.label, Charge::OnDemand, frame.arrivals);
        let pays = frame.join.unwrap_or(way);
        self.go_on(Some(Here { way, pays }));
        Some(way)
    }

    /// A `br_if` to the `label`th frame from the innermost. Gives the way along the branch and the way behind it.
    ///
    /// With `alone` the branch can be written in another way: it takes no values along.
    pub(crate) fn branch_if(&mut self, label: u32, alone: bool) -> Option<(Way, Way)> {
        let here = self.here?;
        let weight = self.ways.weight(here.way);
        let taken = weight * self.taken(label);
        let parting = self.ways.place();
        self.ways.lead(here.way, parting);
        let charge = if alone { Charge::Branch } else { Charge::Never };
        let along = self.ways.open(parting, charge, taken);
        let behind = self.ways.open(parting, Charge::OnDemand, weight - taken);
        self.escape(label, here.pays, Some(behind));
        self.mark(label, along);
        self.set_out(behind);
        Some((along, behind))
    }

    /// How often a `br_if` branches: a guess.
    fn taken(&self, label: u32) -> f32 {
        let Some((target, inside)) = self
            .index(label)
            .and_then(|index| self.frames[index..].split_first())
        else {
            return 0.5;
        };
        if target.kind == Kind::Loop {
            1.0 - LEAVES_LOOP
        } else if inside.iter().any(|frame| frame.kind == Kind::Loop) {
            LEAVES_LOOP
        } else {
            0.5
        }
    }

    /// A `br`, or a `return` (a branch out of the function).
    pub(crate) fn branch(&mut self, label: u32) {
        if let Some(here) = self.here {
            self.go_on(None);
            self.escape(label, here.pays, None);
            self.mark(label, here.way);
        }
    }

    /// A `br_table`.
    pub(crate) fn branch_table(&mut self, labels: impl Iterator<Item = u32>) {
        let Some(here) = self.here else { return };
        self.go_on(None);
        let parting = self.ways.place();
        self.ways.lead(here.way, parting);
        let mut targets = core::mem::take(&mut self.labels);
        targets.clear();
        targets.extend(labels);
        targets.sort_unstable();
        targets.dedup();
        let weight = self.ways.weight(here.way) / targets.len() as f32;
        for &label in &targets {
            let way = self.ways.open(parting, Charge::Never, weight);
            self.mark(label, way);
        }
        self.escape(targets.last().copied().unwrap_or_default(), here.pays, None);
        self.labels = targets;
    }

    /// A `return`.
    pub(crate) fn leave_function(&mut self) {
        self.branch(self.frames.len().saturating_sub(1) as u32);
    }

    /// Nothing gets further than here.
    pub(crate) fn stop(&mut self) {
        if let Some(here) = self.here {
            self.ways.end(here.way);
        }
        self.go_on(None);
    }

    /// The way leads to the label.
    fn mark(&mut self, label: u32, way: Way) {
        if let Some(index) = self.index(label) {
            let frame = &mut self.frames[index];
            frame.branched_to = true;
            frame.reached = true;
            frame.arrivals += self.ways.weight(way);
            self.ways.lead(way, frame.label);
        }
    }

    fn index(&self, label: u32) -> Option<usize> {
        self.frames.len().checked_sub(1 + label as usize)
    }

    /// Some of those who are here leave for the frame `label`, the others go on `behind`: so not everybody who entered
    /// the frames between gets to their ends.
    fn escape(&mut self, label: u32, here: Way, behind: Option<Way>) {
        let first = self.index(label).map_or(0, |index| index + 1);
        for frame in &mut self.frames[first..] {
            // Before any branch to the frame's own label, being where its end is paid for means that everybody is here.
            frame.join = if frame.join == Some(here) { behind } else { None };
        }
    }
}
