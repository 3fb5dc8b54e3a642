//! Builds the control-flow graph of a function while its operators are parsed, and attributes the cost of each operator to
//! an edge.
//!
//! The cost of a straight-line region belongs to the edge that it is on, and is charged in one sum before the region runs. On
//! some edges the interpreter charges by itself: at the entry of a function, of a loop, of an arm of an `if`. On others the
//! rewriter inserts a charge, if there is a cost: on both edges of a `br_if`, and on the edge after the end of a block that is
//! the target of a branch.
//!
//! Regions that are control-equivalent (one runs if and only if the other does) share one charge. The code after a block is
//! control-equivalent to the code before it, unless a branch inside escapes: one whose target is further out. So its cost
//! belongs to the edge on which the block starts, the *payer*. An escape from that very edge splits it, and the payer becomes
//! the fall-through edge of the escape. After any other escape, the edge after the block pays for itself.
//!
//! These are the initial costs, from which [`reweight`](super::reweight) starts.

use super::{
    cfg::{Charge, ControlFlowGraph, Edge, Node},
    reweight::Reweighting,
};
use alloc::vec::Vec;

/// The construct that a control frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Function,
    Block,
    Loop,
    Then,
    Else,
}

/// A control frame that was opened in reachable code.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    /// The payer before the frame: for an arm, before the `if`.
    start_payer: Edge,
    /// The number of loops around the frame, itself included.
    loops: u32,
    /// Whether a branch targets its label.
    pub(crate) branched_to: bool,
    /// The node of its label.
    label: Node,
    /// Whether the label has incoming edges, and the sum of their frequencies.
    reached: bool,
    incoming_frequency: f32,
    /// For an `if`: its branch point, the edge of its first arm, and the frequency of each arm.
    arms: Option<(Node, Edge, f32)>,
}

/// How often a loop iterates each time it is entered: a guess.
const ITERATIONS: f32 = 8.0;

/// The probability of a branch out of a loop: a guess that agrees with [`ITERATIONS`].
const LOOP_EXIT_PROBABILITY: f32 = 1.0 / ITERATIONS;

/// The current position in a function.
#[derive(Debug, Clone, Copy)]
struct Position {
    edge: Edge,
    /// The edge to which the operators here add their costs.
    payer: Edge,
}

/// The control-flow graph of one function under construction, and its open control frames.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    graph: ControlFlowGraph,
    reweighting: Reweighting,
    frames: Vec<Frame>,
    end_payers: EndPayers,
    /// `None` in unreachable code.
    position: Option<Position>,
    /// The costs since the position last changed, which are not yet added to the payer.
    pending_cost: u64,
    /// The labels of a `br_table`: a buffer.
    labels: Vec<u32>,
}

impl Flow {
    /// Starts a new function. Returns its entry edge.
    pub(crate) fn start(&mut self) -> Edge {
        self.graph.clear();
        self.frames.clear();
        self.end_payers.clear();
        self.pending_cost = 0;
        let entry = self.graph.add_edge(Node::OUTSIDE, Charge::Always, 1.0);
        self.position = Some(Position {
            edge: entry,
            payer: entry,
        });
        self.push(FrameKind::Function, entry, Node::OUTSIDE);
        entry
    }

    /// Adds the pending cost to its payer, and continues at another position.
    fn continue_at(&mut self, next: Option<Position>) {
        if let Some(position) = self.position {
            self.graph.add_cost(position.payer, self.pending_cost);
        }
        self.pending_cost = 0;
        self.position = next;
    }

    /// Continues on a new edge, which pays for itself.
    fn continue_on(&mut self, edge: Edge) {
        self.continue_at(Some(Position { edge, payer: edge }));
    }

    /// Opens a control frame.
    fn push(&mut self, kind: FrameKind, payer: Edge, label: Node) {
        let loops = self.frames.last().map_or(0, |frame| frame.loops) + u32::from(kind == FrameKind::Loop);
        self.end_payers.push(payer, self.frames.len());
        self.frames.push(Frame {
            kind,
            start_payer: payer,
            loops,
            branched_to: false,
            label,
            reached: false,
            incoming_frequency: 0.0,
            arms: None,
        });
    }

    /// Closes the innermost control frame. Returns it, and the payer after it, or `None` if that is the edge which
    /// starts there.
    fn pop(&mut self) -> Option<(Frame, Option<Edge>)> {
        let frame = self.frames.pop()?;
        let end_payer = self.end_payers.pop(self.frames.len());
        Some((frame, end_payer))
    }

    /// Returns whether the current position is reachable.
    pub(crate) fn is_reachable(&self) -> bool {
        self.position.is_some()
    }

    /// Returns the cost of an edge.
    pub(crate) fn cost(&self, edge: Edge) -> u64 {
        self.graph.cost(edge)
    }

    /// Returns how an edge is charged.
    pub(crate) fn charge(&self, edge: Edge) -> Charge {
        self.graph.charge(edge)
    }

    /// Completes the graph at the end of the function, and re-weights it.
    pub(crate) fn reweight(&mut self) {
        self.continue_at(None);
        self.reweighting.reweight(&mut self.graph);
    }

    /// Returns the number of open control frames.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Returns the innermost control frame.
    pub(crate) fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// Adds the cost of an operator at the current position.
    #[inline(always)]
    pub(crate) fn add_cost(&mut self, fuel: u64) {
        self.pending_cost += fuel;
    }

    /// Enters a `block`.
    pub(crate) fn enter_block(&mut self) {
        if let Some(position) = self.position {
            let end = self.graph.add_node();
            self.push(FrameKind::Block, position.payer, end);
        }
    }

    /// Enters a `loop`. Returns the outgoing edge of its header, which every iteration takes.
    pub(crate) fn enter_loop(&mut self) -> Option<Edge> {
        let position = self.position?;
        let header = self.graph.add_node();
        self.graph.set_target(position.edge, header);
        self.push(FrameKind::Loop, position.payer, header);
        let frequency = self.graph.frequency(position.edge) * ITERATIONS;
        let iteration = self.graph.add_edge(header, Charge::Always, frequency);
        self.continue_on(iteration);
        Some(iteration)
    }

    /// Enters an `if`. Returns the edge of its first arm.
    pub(crate) fn enter_if(&mut self) -> Option<Edge> {
        let position = self.position?;
        let (branch_point, end) = (self.graph.add_node(), self.graph.add_node());
        self.graph.set_target(position.edge, branch_point);
        self.push(FrameKind::Then, position.payer, end);
        let frequency = self.graph.frequency(position.edge) / 2.0;
        let arm = self.graph.add_edge(branch_point, Charge::Always, frequency);
        if let Some(frame) = self.frames.last_mut() {
            frame.arms = Some((branch_point, arm, frequency));
        }
        self.continue_on(arm);
        Some(arm)
    }

    /// Enters the second arm of an `if`, and returns its edge. Both arms pay for the `if` itself, since the interpreter charges
    /// at least 1 in each.
    pub(crate) fn enter_else(&mut self) -> Option<Edge> {
        self.merge();
        let frame = self.frames.last_mut()?;
        let (branch_point, then, frequency) = frame.arms?;
        frame.kind = FrameKind::Else;
        let arm = self.graph.add_edge(branch_point, Charge::Always, frequency);
        for arm in [then, arm] {
            self.graph.add_cost(arm, 1);
        }
        self.continue_on(arm);
        Some(arm)
    }

    /// Ends the current edge at the label of the innermost frame.
    fn merge(&mut self) {
        if let (Some(position), Some(frame)) = (self.position, self.frames.last_mut()) {
            self.graph.set_target(position.edge, frame.label);
            frame.reached = true;
            frame.incoming_frequency += self.graph.frequency(position.edge);
        }
        self.continue_at(None);
    }

    /// Leaves the innermost frame. Returns the edge after its end, if a new one starts there.
    pub(crate) fn end(&mut self) -> Option<Edge> {
        let frame = self.frames.last()?;
        match frame.kind {
            FrameKind::Loop => {
                let (_, end_payer) = self.pop()?;
                if let (Some(position), Some(payer)) = (self.position, end_payer) {
                    self.continue_at(Some(Position { payer, ..position }));
                }
                return None;
            }
            // Without a branch to it, the end of a block does not need a node.
            FrameKind::Block if !frame.branched_to => {
                self.pop();
                return None;
            }
            _ => {}
        }
        self.merge();
        let (mut frame, end_payer) = self.pop()?;
        if let (FrameKind::Then, Some((branch_point, _, frequency))) = (frame.kind, frame.arms) {
            // Without a second arm there is an edge on which the `if` cannot be charged: it is charged before.
            self.graph.add_cost(frame.start_payer, 1);
            let skip = self.graph.add_edge(branch_point, Charge::Never, frequency);
            self.graph.set_target(skip, frame.label);
            frame.reached = true;
            frame.incoming_frequency += frequency;
        }
        if !frame.reached || frame.kind == FrameKind::Function {
            return None;
        }
        let edge = self
            .graph
            .add_edge(frame.label, Charge::OnDemand, frame.incoming_frequency);
        let payer = end_payer.unwrap_or(edge);
        self.continue_at(Some(Position { edge, payer }));
        Some(edge)
    }

    /// Adds a `br_if` to the `label`th frame from the innermost. Returns its taken edge and its fall-through edge.
    ///
    /// The taken edge can be charged if the branch `can_be_rewritten` as an `if` around a `br`: if it carries no values.
    pub(crate) fn branch_if(&mut self, label: u32, can_be_rewritten: bool) -> Option<(Edge, Edge)> {
        let position = self.position?;
        let frequency = self.graph.frequency(position.edge);
        let taken_frequency = frequency * self.taken_probability(label);
        let branch_point = self.graph.add_node();
        self.graph.set_target(position.edge, branch_point);
        let charge = if can_be_rewritten {
            Charge::Branch
        } else {
            Charge::Never
        };
        let taken = self.graph.add_edge(branch_point, charge, taken_frequency);
        let fallthrough_frequency = frequency - taken_frequency;
        let fallthrough = self
            .graph
            .add_edge(branch_point, Charge::OnDemand, fallthrough_frequency);
        self.escape(label, position.payer, Some(fallthrough));
        self.target(label, taken);
        self.continue_on(fallthrough);
        Some((taken, fallthrough))
    }

    /// Estimates the probability that a `br_if` is taken.
    fn taken_probability(&self, label: u32) -> f32 {
        let target = self.index(label).and_then(|index| self.frames.get(index));
        let (Some(target), Some(innermost)) = (target, self.frames.last()) else {
            return 0.5;
        };
        if target.kind == FrameKind::Loop {
            1.0 - LOOP_EXIT_PROBABILITY
        } else if innermost.loops > target.loops {
            LOOP_EXIT_PROBABILITY
        } else {
            0.5
        }
    }

    /// Adds a `br`, or a `return`, which is a branch to the outermost frame.
    pub(crate) fn branch(&mut self, label: u32) {
        if let Some(position) = self.position {
            self.continue_at(None);
            self.escape(label, position.payer, None);
            self.target(label, position.edge);
        }
    }

    /// Adds a `br_table`: an edge for each distinct label.
    pub(crate) fn branch_table(&mut self, labels: impl Iterator<Item = u32>) {
        let Some(position) = self.position else { return };
        self.continue_at(None);
        let branch_point = self.graph.add_node();
        self.graph.set_target(position.edge, branch_point);
        let mut targets = core::mem::take(&mut self.labels);
        targets.clear();
        targets.extend(labels);
        targets.sort_unstable();
        targets.dedup();
        let frequency = self.graph.frequency(position.edge) / targets.len() as f32;
        for &label in &targets {
            let edge = self.graph.add_edge(branch_point, Charge::Never, frequency);
            self.target(label, edge);
        }
        self.escape(targets.last().copied().unwrap_or_default(), position.payer, None);
        self.labels = targets;
    }

    /// Adds a `return`.
    pub(crate) fn branch_to_caller(&mut self) {
        self.branch(self.frames.len().saturating_sub(1) as u32);
    }

    /// Adds an operator that always traps.
    pub(crate) fn trap(&mut self) {
        if let Some(position) = self.position {
            self.graph.end_in_trap(position.edge);
        }
        self.continue_at(None);
    }

    /// Ends an edge at a label.
    fn target(&mut self, label: u32, edge: Edge) {
        if let Some(index) = self.index(label) {
            let frame = &mut self.frames[index];
            frame.branched_to = true;
            frame.reached = true;
            frame.incoming_frequency += self.graph.frequency(edge);
            self.graph.set_target(edge, frame.label);
        }
    }

    /// Returns the index of the frame that a label refers to.
    fn index(&self, label: u32) -> Option<usize> {
        self.frames.len().checked_sub(1 + label as usize)
    }

    /// Updates the payers after the frames that a branch to `label` escapes from. Control continues on `fallthrough`, if there
    /// is one, and the code after those frames is no longer control-equivalent to the code before them.
    fn escape(&mut self, label: u32, payer: Edge, fallthrough: Option<Edge>) {
        let first = self.index(label).map_or(0, |index| index + 1);
        self.end_payers
            .escape(first, self.frames.len(), payer, fallthrough);
    }
}

/// The payer after each open control frame, from the outermost inwards, in runs of equal ones.
///
/// A frame may escape from all frames around it, so a function with many branches out of deep nesting must not visit them
/// one by one. Each operation adds at most two runs, and visits only those that it removes.
#[derive(Debug, Default)]
struct EndPayers {
    /// The index of the first frame of each run, ascending, and the payer.
    runs: Vec<(usize, Option<Edge>)>,
}

impl EndPayers {
    fn clear(&mut self) {
        self.runs.clear();
    }

    /// Adds the frame with this index.
    fn push(&mut self, payer: Edge, index: usize) {
        if self.runs.last().is_none_or(|(_, last)| *last != Some(payer)) {
            self.runs.push((index, Some(payer)));
        }
    }

    /// Removes the innermost frame, which has this index.
    fn pop(&mut self, index: usize) -> Option<Edge> {
        let (first, payer) = *self.runs.last()?;
        if first == index {
            self.runs.pop();
        }
        payer
    }

    /// Updates the frames from `first` on, out of `count`, after an escape from a region that `payer` pays for.
    ///
    /// If `payer` is also the payer after a frame, the code there was control-equivalent to the region until now, and is
    /// still control-equivalent to the fall-through edge. These frames are the innermost ones: inside a frame that was
    /// opened in a region with another payer, no region is control-equivalent to one outside.
    fn escape(&mut self, first: usize, count: usize, payer: Edge, fallthrough: Option<Edge>) {
        let equivalent = match self.runs.last() {
            Some((start, last)) if *last == Some(payer) => *start,
            _ => count,
        };
        while self.runs.last().is_some_and(|(start, _)| *start >= first) {
            self.runs.pop();
        }
        if first < equivalent && first < count {
            self.runs.push((first, None));
        }
        let equivalent = equivalent.max(first);
        if equivalent < count {
            self.runs.push((equivalent, fallthrough));
        }
    }
}
