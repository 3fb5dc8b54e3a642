//! Decides where fuel is charged.
//!
//! Code is divided into *stretches*: points that a call passes equally often, in the same order, however it branches. Each
//! stretch has one *site* at its start where all of it is paid for. A site that the interpreter has anyway (the entry of
//! a function, of a loop, of an arm of an `if`) is used; a new one is opened only behind a `br_if`, and behind the end of
//! a block out of which some branch escapes, and only if what follows costs something.
//!
//! The end of a block belongs to the stretch in which the block began, if nothing inside escapes beyond it: whoever
//! entered then comes out again, on whatever way. An escape from the very stretch in which the block began splits that
//! stretch in two, and the end belongs to the second; any other escape gives the end a stretch of its own.
//!
//! What a stretch costs may also be paid a stretch earlier or later, as long as every way through the function pays the
//! same in the end: [`balance`](super::balance) moves prices until few of the new sites have anything left to charge.

use super::balance::{Join, Pred, Site, SiteKind, Sites};
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
    /// The stretch in which the frame began: for an arm, that of the `if`.
    outer: Site,
    /// The stretch at its end, `None` if that has to be a new one.
    join: Option<Site>,
    /// Whether a branch goes to its label.
    pub(crate) branched_to: bool,
    /// For the second arm: whether the end of the first is reachable.
    then_falls_through: bool,
    /// The site of the first arm.
    then_site: Option<Site>,
    /// The ways into the frame's label: the header of a loop, otherwise the end.
    join_point: Join,
}

/// How much more often the inside of a loop runs than what is around it: a guess.
const LOOP_WEIGHT: f32 = 8.0;

/// The control flow of one function, while it is read.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    sites: Sites,
    frames: Vec<Frame>,
    /// The stretch of the current point; `None` where nothing gets to.
    here: Option<Site>,
    /// What it costs and is not yet charged to it.
    uncharged: u64,
}

impl Flow {
    /// Starts over with a function; its entry is the first site.
    pub(crate) fn start(&mut self) -> Site {
        self.sites.clear();
        self.frames.clear();
        let entry = self.sites.open(SiteKind::Always, 1.0);
        self.uncharged = 0;
        self.here = Some(entry);
        self.push(Kind::Function, entry);
        entry
    }

    /// Goes on in another stretch.
    fn go_on(&mut self, there: Option<Site>) {
        if let Some(here) = self.here {
            self.sites.charge(here, self.uncharged);
        }
        self.uncharged = 0;
        self.here = there;
    }

    fn push(&mut self, kind: Kind, outer: Site) {
        self.frames.push(Frame {
            kind,
            outer,
            join: Some(outer),
            branched_to: false,
            then_falls_through: false,
            then_site: None,
            join_point: Join::default(),
        });
    }

    /// Whether anything gets to the current point.
    pub(crate) fn is_reachable(&self) -> bool {
        self.here.is_some()
    }

    /// What a site charges.
    pub(crate) fn price(&self, site: Site) -> u64 {
        self.sites.price(site)
    }

    /// Moves prices so that few sites are left; the function has been read.
    pub(crate) fn balance(&mut self) {
        self.go_on(None);
        self.sites.balance();
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
            self.push(Kind::Block, here);
        }
    }

    /// Enters a `loop`; its header is a site.
    pub(crate) fn enter_loop(&mut self) -> Option<Site> {
        let here = self.here?;
        self.push(Kind::Loop, here);
        let header = self
            .sites
            .open(SiteKind::Always, self.sites.weight(here) * LOOP_WEIGHT);
        self.go_on(Some(header));
        if let Some(frame) = self.frames.last_mut() {
            frame.then_site = Some(header);
            self.sites.add(&mut frame.join_point, Pred::all(here));
        }
        Some(header)
    }

    /// Enters the first arm of an `if`; it is a site.
    pub(crate) fn enter_if(&mut self) -> Option<Site> {
        let here = self.here?;
        self.push(Kind::Then, here);
        let arm = self.sites.open(SiteKind::Always, self.sites.weight(here) / 2.0);
        if let Some(frame) = self.frames.last_mut() {
            frame.then_site = Some(arm);
        }
        self.go_on(Some(arm));
        Some(arm)
    }

    /// Enters the second arm of an `if`; it is a site. The price of the `if` itself moves into both arms: the
    /// interpreter charges at least 1 in each, and this is it.
    pub(crate) fn enter_else(&mut self) -> Site {
        let end_of_then = self.here;
        let weight = self
            .frames
            .last()
            .map_or(1.0, |frame| self.sites.weight(frame.outer) / 2.0);
        let arm = self.sites.open(SiteKind::Always, weight);
        self.sites.charge(arm, 1);
        if let Some(frame) = self.frames.last_mut() {
            frame.kind = Kind::Else;
            frame.then_falls_through = end_of_then.is_some();
            if let Some(then) = frame.then_site {
                self.sites.charge(then, 1);
            }
            if let Some(from) = end_of_then {
                self.sites.add(&mut frame.join_point, Pred::all(from));
            }
        }
        self.go_on(Some(arm));
        arm
    }

    /// Leaves the innermost frame. Gives the new site behind its end, if one is needed there.
    pub(crate) fn end(&mut self) -> Option<Site> {
        let mut frame = self.frames.pop()?;
        let end = self.here;
        if let (Some(from), false) = (end, frame.kind == Kind::Loop) {
            self.sites.add(&mut frame.join_point, Pred::all(from));
        }
        match frame.kind {
            Kind::Then => {
                // There is no second arm: whoever does not enter the first pays for the `if` before it.
                self.sites.charge(frame.outer, 1);
                let skips = Pred {
                    from: frame.outer,
                    rest: frame.then_site,
                };
                self.sites.add(&mut frame.join_point, skips);
                self.join(frame)
            }
            Kind::Else if frame.then_falls_through || frame.branched_to || end.is_some() => self.join(frame),
            Kind::Loop => {
                if frame.branched_to
                    && let Some(header) = frame.then_site
                {
                    self.sites.join(header, frame.join_point);
                }
                if end.is_some()
                    && let Some(join) = frame.join
                {
                    self.go_on(Some(join));
                }
                None
            }
            // Without a branch to it, the end of a block is no place at all.
            Kind::Block | Kind::Function if frame.branched_to => self.join(frame),
            Kind::Block | Kind::Function | Kind::Else => None,
        }
    }

    /// Goes on in the stretch of a frame's end.
    fn join(&mut self, frame: Frame) -> Option<Site> {
        if frame.join.is_some() {
            self.go_on(frame.join);
            return None;
        }
        let weight = self.sites.weight_of_join(&frame.join_point);
        let fresh = self.sites.open(SiteKind::OnDemand, weight);
        self.sites.join(fresh, frame.join_point);
        self.go_on(Some(fresh));
        Some(fresh)
    }

    /// A `br_if` to the `label`th frame from the innermost. Gives the site behind it.
    pub(crate) fn branch_if(&mut self, label: u32) -> Option<Site> {
        let here = self.here?;
        let behind = self.sites.open(SiteKind::OnDemand, self.sites.weight(here) / 2.0);
        self.escape(label, here, Some(behind));
        self.mark(
            label,
            Pred {
                from: here,
                rest: Some(behind),
            },
        );
        self.go_on(Some(behind));
        Some(behind)
    }

    /// A `br`, or a `return` (a branch out of the function).
    pub(crate) fn branch(&mut self, label: u32) {
        if let Some(here) = self.here {
            self.go_on(None);
            self.escape(label, here, None);
            self.mark(label, Pred::all(here));
        }
    }

    /// A `br_table`.
    pub(crate) fn branch_table(&mut self, labels: impl Iterator<Item = u32>) {
        let Some(here) = self.here else { return };
        self.go_on(None);
        let mut outermost = 0;
        for label in labels {
            if let Some(index) = self.index(label) {
                self.frames[index].branched_to = true;
                self.frames[index].join_point.fix();
            }
            outermost = outermost.max(label);
        }
        self.escape(outermost, here, None);
    }

    /// A `return`.
    pub(crate) fn leave_function(&mut self) {
        self.branch(self.frames.len().saturating_sub(1) as u32);
    }

    /// Nothing gets further than here.
    pub(crate) fn stop(&mut self) {
        self.go_on(None);
    }

    fn mark(&mut self, label: u32, pred: Pred) {
        if let Some(index) = self.index(label) {
            let frame = &mut self.frames[index];
            frame.branched_to = true;
            self.sites.add(&mut frame.join_point, pred);
        }
    }

    fn index(&self, label: u32) -> Option<usize> {
        self.frames.len().checked_sub(1 + label as usize)
    }

    /// Some of those who are `here` leave for the frame `label`, the others go on in `behind`: so not everybody who
    /// entered the frames between gets to their ends.
    fn escape(&mut self, label: u32, here: Site, behind: Option<Site>) {
        let first = self.index(label).map_or(0, |index| index + 1);
        for frame in &mut self.frames[first..] {
            // Before any branch to the frame's own label, being in the stretch of its end means that everybody is here.
            frame.join = if frame.join == Some(here) { behind } else { None };
        }
    }
}
