//! The control-flow graph of one function, with a cost in fuel and an estimated frequency for each edge.
//!
//! A node is a point where control flow branches or merges: a branch point, a label, the header of a loop. An edge is the
//! straight-line region between two of them. So basic blocks are the edges here, and not the nodes: an edge is what is
//! charged for.

use alloc::vec::Vec;

/// The index of an edge in its function's graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge(pub(super) u32);

/// The index of a node in its function's graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(pub(super) u32);

impl Node {
    /// The caller: the source of the entry edge, and the target of every edge that returns.
    ///
    /// One node for both makes every path through the function a cycle.
    pub(crate) const OUTSIDE: Node = Node(0);
}

/// How the cost of an edge can be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The interpreter always charges at least 1: at the entry of a function, of a loop, of an arm of an `if`.
    Always,
    /// An empty `loop` is inserted, if there is a cost to charge.
    OnDemand,
    /// The taken edge of a `br_if`, which becomes an `if` around a `br`, if there is a cost to charge.
    Branch,
    /// There is no code on the edge in which to charge: its cost never changes.
    Never,
}

/// The properties of an edge.
#[derive(Debug)]
pub(super) struct EdgeData {
    pub(super) from: Node,
    pub(super) to: Node,
    /// The fuel to charge. Not negative, except while it is computed.
    pub(super) cost: i64,
    /// An estimate of how often the edge is taken, per call.
    pub(super) frequency: f32,
    pub(super) charge: Charge,
    /// Whether re-weighting has to leave the cost as it is.
    pub(super) fixed: bool,
}

/// The control-flow graph of one function.
#[derive(Debug, Default)]
pub(crate) struct ControlFlowGraph {
    pub(super) edges: Vec<EdgeData>,
    pub(super) node_count: u32,
}

impl ControlFlowGraph {
    /// Resets the graph to a single node, [`Node::OUTSIDE`].
    pub(crate) fn clear(&mut self) {
        self.edges.clear();
        self.node_count = 1;
    }

    /// Adds a node.
    pub(crate) fn add_node(&mut self) -> Node {
        self.node_count += 1;
        Node(self.node_count - 1)
    }

    /// Adds an edge of cost 0. It ends in [`Node::OUTSIDE`] until its target is [set](Self::set_target).
    pub(crate) fn add_edge(&mut self, from: Node, charge: Charge, frequency: f32) -> Edge {
        let edge = Edge(self.edges.len() as u32);
        self.edges.push(EdgeData {
            from,
            to: Node::OUTSIDE,
            cost: 0,
            frequency: frequency.clamp(1e-9, 1e9),
            charge,
            fixed: charge == Charge::Never,
        });
        edge
    }

    /// Sets the target of an edge.
    pub(crate) fn set_target(&mut self, edge: Edge, to: Node) {
        self.edges[edge.0 as usize].to = to;
    }

    /// Ends an edge in a trap: its target is a new node without outgoing edges, and its cost is fixed.
    pub(crate) fn end_in_trap(&mut self, edge: Edge) {
        let sink = self.add_node();
        let data = &mut self.edges[edge.0 as usize];
        data.to = sink;
        data.fixed = true;
    }

    /// Returns the cost of an edge.
    pub(crate) fn cost(&self, edge: Edge) -> u64 {
        self.edges[edge.0 as usize].cost.max(0) as u64
    }

    /// Returns how an edge is charged.
    pub(crate) fn charge(&self, edge: Edge) -> Charge {
        self.edges[edge.0 as usize].charge
    }

    /// Returns the estimated frequency of an edge.
    pub(crate) fn frequency(&self, edge: Edge) -> f32 {
        self.edges[edge.0 as usize].frequency
    }

    /// Adds to the cost of an edge.
    pub(crate) fn add_cost(&mut self, edge: Edge, fuel: u64) {
        self.edges[edge.0 as usize].cost += fuel as i64;
    }
}
