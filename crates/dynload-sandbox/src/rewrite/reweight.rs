//! Re-weights the control-flow graph so that fewer edges have to charge.
//!
//! Every node `v` gets a potential `π(v)`, and the cost of an edge from `u` to `v` becomes
//!
//! ```text
//! cost'(u, v) = cost(u, v) + π(u) − π(v)
//! ```
//!
//! as in Johnson's algorithm (Donald B. Johnson, "Efficient algorithms for shortest paths in sparse networks",
//! Journal of the ACM 24(1), 1977). Along a path the potentials in between cancel, so every path through the
//! function, which starts and ends in [`Node::OUTSIDE`], costs exactly what it did before. The potential of a node,
//! less that of [`Node::OUTSIDE`], is the debt of a call that gets there: fuel for code that has run and is charged
//! later on the path. A negative debt is fuel that was charged ahead of the code.
//!
//! **What it minimises.** The expected number of charges per call: the sum of the frequencies of all edges that can be free
//! ([`Charge::OnDemand`], and [`Charge::Branch`] twice, since a branch has to be written for it) and still cost something.
//! So of the two arms of a branch only the more expensive one charges the difference; and a loop that is left in the middle
//! charges once per iteration, and the remainder on its exit edge.
//!
//! **Constraints.** No cost may become negative, nor 0 on an edge that [always](Charge::Always) charges. A cost that
//! is [fixed](EdgeData::fixed) stays, so the potentials of both of its nodes change together. The
//! [debt](MAX_POTENTIAL) is bounded, because a call that is stopped partway does not pay it. The sum of all costs may
//! grow only by a [part](GROWTH_DIVISOR) of itself, because each unit is a byte of code.
//!
//! **How.** Greedily, the most frequent edge first. To make an edge free, the potential of its target is raised by
//! its cost. That may violate the constraint of a neighbouring edge, so the potential of the node at its other end
//! changes as well, and so on: the relaxation of Bellman and Ford for a system of difference constraints, which gives
//! up after [`MAX_STEPS`] edges. Then the same is tried by lowering the potential of the source. An edge that is free
//! stays free: its nodes are joined in a union-find structure of nodes whose potentials change together.
//!
//! **Complexity.** For `E` edges, `O(E log E)` to sort them, and for each at most `2 * MAX_STEPS` relaxations and an almost
//! constant `find`. The greedy order is not optimal; `docs/performance.md` says how far from the optimum it is.

use super::cfg::{Charge, ControlFlowGraph, EdgeData, Node};
use alloc::vec::Vec;

#[cfg(test)]
mod tests;

/// An edge while the graph is re-weighted, in the adjacency lists of both of its nodes.
#[derive(Debug)]
struct LinkedEdge {
    from: Node,
    to: Node,
    /// How much its cost can decrease: the slack of its constraint.
    slack: i64,
    /// Whether its cost must not increase either.
    frozen: bool,
    /// The next outgoing edge of `from`, and the next incoming edge of `to`.
    next: [u32; 2],
}

/// A node while the graph is re-weighted.
#[derive(Debug)]
struct LinkedNode {
    /// Its last outgoing and its last incoming edge: the heads of its adjacency lists.
    last: [u32; 2],
    /// Its in-degree less its out-degree.
    excess_in_degree: i64,
    /// Union-find: its parent. A root is its own parent.
    parent: Node,
    potential: i64,
    /// By how much the current step changes its potential.
    delta: i64,
}

/// Re-weights graphs, one after the other, and reuses its buffers.
#[derive(Debug, Default)]
pub(crate) struct Reweighting {
    edges: Vec<LinkedEdge>,
    nodes: Vec<LinkedNode>,
    /// How much the sum of all costs may still grow.
    growth_left: i64,
    /// The edges that can be free, the most frequent first: the key in the upper half, the index in the lower.
    order: Vec<u64>,
    /// The nodes whose potential the current step changes. A node may be listed more than once.
    changed: Vec<Node>,
}

/// How many edges are visited, for each [`Direction`], to make one free.
const MAX_STEPS: usize = 16;

/// The highest potential of a node, and the lowest of [`Node::OUTSIDE`], negated. So a debt is at most twice this. A
/// call that is stopped partway may have it in each of its frames, and the clock is read that much later.
const MAX_POTENTIAL: i64 = 64;

/// The sum of all costs may grow by this part of itself, a half, and by a little more for small functions. Each unit of a cost
/// is a byte that is written and parsed again.
const GROWTH_DIVISOR: i64 = 2;
const MIN_GROWTH: i64 = 16;

/// The end of an adjacency list.
const NONE: u32 = u32::MAX;

/// In which direction potentials change. Up: costs move from incoming to outgoing edges, and are charged later.
const RAISE: bool = true;
/// Down: costs move from outgoing to incoming edges, and are charged earlier.
const LOWER: bool = false;

/// The result of a change of potentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Feasible,
    /// Some cost would become negative, whatever other potentials change.
    Infeasible,
    /// It takes more steps, or more code, or a higher potential, than is allowed.
    OutOfBounds,
}

/// The indices of the two adjacency lists of a node.
const OUTGOING: usize = 0;
const INCOMING: usize = 1;

impl Reweighting {
    /// Re-weights the graph of a function.
    pub(crate) fn reweight(&mut self, graph: &mut ControlFlowGraph) {
        let can_be_free = |edge: &EdgeData| matches!(edge.charge, Charge::OnDemand | Charge::Branch);
        if !graph.edges.iter().any(|edge| can_be_free(edge) && edge.cost > 0) {
            return;
        }
        self.link(graph);
        self.sort(graph);
        let order = core::mem::take(&mut self.order);
        for &entry in &order {
            let edge = entry as u32 as usize;
            let LinkedEdge { from, to, slack, .. } = self.edges[edge];
            if slack == 0 || self.make_free(from, to, slack) {
                self.freeze(edge);
            }
        }
        self.order = order;
        for (edge, linked) in graph.edges.iter_mut().zip(&self.edges) {
            edge.cost += linked.slack - slack(edge);
        }
    }

    /// Builds the adjacency lists, with all potentials 0.
    fn link(&mut self, graph: &ControlFlowGraph) {
        self.nodes.clear();
        self.nodes.extend((0..graph.node_count).map(|n| LinkedNode {
            last: [NONE; 2],
            excess_in_degree: 0,
            parent: Node(n),
            potential: 0,
            delta: 0,
        }));
        self.edges.clear();
        self.edges.reserve(graph.edges.len());
        let mut total = 0;
        for (i, edge) in graph.edges.iter().enumerate() {
            let EdgeData { from, to, fixed, .. } = *edge;
            total += edge.cost;
            let mut next = [NONE; 2];
            for (side, node, excess) in [(OUTGOING, from, -1), (INCOMING, to, 1)] {
                let node = &mut self.nodes[node.0 as usize];
                node.excess_in_degree += excess;
                next[side] = core::mem::replace(&mut node.last[side], i as u32);
            }
            self.edges.push(LinkedEdge {
                from,
                to,
                slack: slack(edge),
                frozen: fixed,
                next,
            });
            if fixed {
                self.freeze(i);
            }
        }
        self.growth_left = MIN_GROWTH + total / GROWTH_DIVISOR;
    }

    /// Sorts the edges that can be free, the most frequent first.
    fn sort(&mut self, graph: &ControlFlowGraph) {
        self.order.clear();
        for (i, edge) in graph.edges.iter().enumerate() {
            let frequency = match edge.charge {
                Charge::OnDemand => edge.frequency,
                // The branch that is written for it costs the same again.
                Charge::Branch => 2.0 * edge.frequency,
                Charge::Always | Charge::Never => continue,
            };
            // The bits of positive floats compare as the floats do.
            self.order.push(u64::from(!frequency.to_bits()) << 32 | i as u64);
        }
        self.order.sort_unstable();
    }

    /// Keeps the cost of an edge as it is from now on.
    fn freeze(&mut self, edge: usize) {
        let LinkedEdge { from, to, .. } = self.edges[edge];
        self.edges[edge].frozen = true;
        self.union(from, to);
    }

    /// Joins the sets of two nodes.
    fn union(&mut self, a: Node, b: Node) {
        let (a, b) = (self.find(a), self.find(b));
        self.nodes[a.0 as usize].parent = b;
    }

    /// Returns the representative of the nodes whose potentials change by the same amount as that of `node`. Halves the
    /// path to it.
    fn find(&mut self, mut node: Node) -> Node {
        loop {
            let parent = self.nodes[node.0 as usize].parent;
            if parent == node {
                return node;
            }
            let grandparent = self.nodes[parent.0 as usize].parent;
            self.nodes[node.0 as usize].parent = grandparent;
            node = grandparent;
        }
    }

    /// Makes an edge between these nodes free, if the constraints allow it. Returns whether they do.
    fn make_free(&mut self, from: Node, to: Node, cost: i64) -> bool {
        if self.find(from) == self.find(to) {
            return false;
        }
        let mut outcome = self.change_potential::<RAISE>(to, cost, from);
        // A change that is infeasible in one direction is infeasible in the other as well, but one of them may take
        // fewer steps.
        if outcome == Outcome::OutOfBounds {
            outcome = self.change_potential::<LOWER>(from, cost, to);
        }
        outcome == Outcome::Feasible
    }

    /// Changes the potential of `node` by `amount`, and those of other nodes, except for `pinned`, by as much as the
    /// constraints require. Changes nothing unless that is [feasible](Outcome::Feasible).
    fn change_potential<const RAISES: bool>(&mut self, node: Node, amount: i64, pinned: Node) -> Outcome {
        self.changed.clear();
        self.changed.push(node);
        self.nodes[node.0 as usize].delta = amount;
        let outcome = self.propagate::<RAISES>(pinned);
        let (edges, nodes) = (&mut self.edges[..], &mut self.nodes[..]);
        for node in &self.changed {
            let node = &mut nodes[node.0 as usize];
            // Taken, so that a node which is listed twice changes once.
            let amount = core::mem::take(&mut node.delta);
            if outcome == Outcome::Feasible && amount != 0 {
                let change = if RAISES { amount } else { -amount };
                node.potential += change;
                for (side, change) in [(OUTGOING, change), (INCOMING, -change)] {
                    let mut next = node.last[side];
                    while next != NONE {
                        let edge = &mut edges[next as usize];
                        edge.slack += change;
                        next = edge.next[side];
                    }
                }
            }
        }
        outcome
    }

    /// Computes by how much the potentials of which other nodes have to change, by relaxation from the first one.
    fn propagate<const RAISES: bool>(&mut self, pinned: Node) -> Outcome {
        let decreasing = if RAISES { INCOMING } else { OUTGOING };
        let sign = if RAISES { -1 } else { 1 };
        let (edges, nodes, changed) = (&self.edges[..], &mut self.nodes[..], &mut self.changed);
        let first = &nodes[changed[0].0 as usize];
        let mut growth = sign * first.delta * first.excess_in_degree;
        let mut steps = 0;
        let mut i = 0;
        while let Some(&node) = changed.get(i) {
            i += 1;
            let LinkedNode {
                delta: amount, last, ..
            } = nodes[node.0 as usize];
            for side in [OUTGOING, INCOMING] {
                let mut next = last[side];
                while next != NONE {
                    steps += 1;
                    if steps > MAX_STEPS {
                        return Outcome::OutOfBounds;
                    }
                    let edge = &edges[next as usize];
                    next = edge.next[side];
                    if side != decreasing && !edge.frozen {
                        continue;
                    }
                    let required = amount - edge.slack;
                    // Most edges have the slack.
                    if required <= 0 {
                        continue;
                    }
                    let other = if side == OUTGOING { edge.to } else { edge.from };
                    let state = &mut nodes[other.0 as usize];
                    if required > state.delta && other != node {
                        if other == pinned {
                            return Outcome::Infeasible;
                        }
                        growth += sign * (required - state.delta) * state.excess_in_degree;
                        state.delta = required;
                        changed.push(other);
                    }
                }
            }
        }
        if growth > self.growth_left
            || changed
                .iter()
                .any(|node| exceeds_potential::<RAISES>(*node, &nodes[node.0 as usize]))
        {
            return Outcome::OutOfBounds;
        }
        self.growth_left -= growth;
        Outcome::Feasible
    }
}

/// Returns whether the change would exceed [`MAX_POTENTIAL`].
fn exceeds_potential<const RAISES: bool>(node: Node, state: &LinkedNode) -> bool {
    let LinkedNode { delta, potential, .. } = *state;
    if RAISES {
        node != Node::OUTSIDE && delta + potential > MAX_POTENTIAL
    } else {
        // To lower the potential outside is to raise it everywhere else.
        node == Node::OUTSIDE && delta - potential > MAX_POTENTIAL
    }
}

/// Returns by how much the cost of an edge may decrease.
fn slack(edge: &EdgeData) -> i64 {
    match edge.charge {
        _ if edge.fixed => 0,
        // The interpreter charges 1 anyway, and that would have to be refunded.
        Charge::Always => (edge.cost - 1).max(0),
        _ => edge.cost,
    }
}
