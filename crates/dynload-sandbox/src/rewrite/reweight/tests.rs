use super::{super::cfg::Edge, *};
use proptest::{collection::vec, prelude::*};
use std::vec;

const CHARGES: [Charge; 4] = [Charge::Always, Charge::OnDemand, Charge::Branch, Charge::Never];

/// Graphs with this number of nodes, and edges with costs.
fn graphs(nodes: u32) -> impl Strategy<Value = ControlFlowGraph> {
    let edge = (0..nodes, 0..nodes, 0..4_usize, 0..30_u64, 0..6_i32);
    vec(edge, 1..40).prop_map(move |list| {
        let mut graph = ControlFlowGraph::default();
        graph.clear();
        for _ in 1..nodes {
            graph.add_node();
        }
        for (from, to, charge, cost, frequency) in list {
            let edge = graph.add_edge(Node(from), CHARGES[charge], 2.0_f32.powi(frequency));
            graph.set_target(edge, Node(to));
            graph.add_cost(edge, cost);
        }
        graph
    })
}

/// The cost of each edge.
fn costs(graph: &ControlFlowGraph) -> Vec<u64> {
    (0..graph.edges.len())
        .map(|i| graph.cost(Edge(i as u32)))
        .collect()
}

/// Recovers the potential of each node from the costs before and after. Returns `None` if two paths to a node contradict each
/// other, that is, if some path through the graph costs more or less than before.
fn potentials(graph: &ControlFlowGraph, before: &[u64], after: &[u64]) -> Option<Vec<i64>> {
    let mut potentials: Vec<Option<i64>> = vec![None; graph.node_count as usize];
    for start in 0..potentials.len() {
        potentials[start].get_or_insert(0);
        for _ in 0..graph.edges.len() {
            for (i, edge) in graph.edges.iter().enumerate() {
                let (from, to) = (edge.from.0 as usize, edge.to.0 as usize);
                let decrease = before[i] as i64 - after[i] as i64;
                match (potentials[from], potentials[to]) {
                    (Some(from), None) => potentials[to] = Some(from + decrease),
                    (None, Some(to)) => potentials[from] = Some(to - decrease),
                    (Some(from), Some(to)) if to - from != decrease => return None,
                    _ => {}
                }
            }
        }
    }
    potentials.into_iter().collect()
}

proptest! {
    #[test]
    fn every_path_costs_the_same_as_before(mut graph in graphs(8)) {
        let before = costs(&graph);
        Reweighting::default().reweight(&mut graph);
        let after = costs(&graph);
        prop_assert!(potentials(&graph, &before, &after).is_some(), "{before:?} {after:?}");
    }

    #[test]
    fn the_constraints_are_satisfied(mut graph in graphs(8)) {
        let before = costs(&graph);
        Reweighting::default().reweight(&mut graph);
        let after = costs(&graph);
        for (i, edge) in graph.edges.iter().enumerate() {
            prop_assert!(edge.cost >= 0, "{edge:?}");
            match edge.charge {
                Charge::Never => prop_assert_eq!(after[i], before[i]),
                Charge::Always => prop_assert!(after[i] >= before[i].min(1)),
                Charge::OnDemand | Charge::Branch => {}
            }
        }
        let total = before.iter().sum::<u64>() as i64;
        prop_assert!(after.iter().sum::<u64>() as i64 <= total + total / GROWTH_DIVISOR + MIN_GROWTH);
    }
}

/// Adds an edge with a cost.
fn edge(graph: &mut ControlFlowGraph, (from, to): (Node, Node), charge: Charge, cost: u64) -> Edge {
    let edge = graph.add_edge(from, charge, 1.0);
    graph.set_target(edge, to);
    graph.add_cost(edge, cost);
    edge
}

#[test]
fn of_two_arms_the_more_expensive_one_charges_the_difference() {
    let mut graph = ControlFlowGraph::default();
    graph.clear();
    let (branch_point, end) = (graph.add_node(), graph.add_node());
    let entry = edge(&mut graph, (Node::OUTSIDE, branch_point), Charge::Always, 1);
    let taken = edge(&mut graph, (branch_point, end), Charge::Branch, 10);
    let fallthrough = edge(&mut graph, (branch_point, end), Charge::OnDemand, 13);
    let out = edge(&mut graph, (end, Node::OUTSIDE), Charge::OnDemand, 5);
    Reweighting::default().reweight(&mut graph);
    let costs = [entry, taken, fallthrough, out].map(|edge| graph.cost(edge));
    assert_eq!(costs, [16, 0, 3, 0]);
}

#[test]
fn a_loop_left_in_the_middle_charges_once_per_iteration_and_at_its_exit() {
    let mut graph = ControlFlowGraph::default();
    graph.clear();
    let (header, middle) = (graph.add_node(), graph.add_node());
    edge(&mut graph, (Node::OUTSIDE, header), Charge::Always, 9);
    let iteration = graph.add_edge(header, Charge::Always, 8.0);
    graph.set_target(iteration, middle);
    graph.add_cost(iteration, 4);
    let exit = edge(&mut graph, (middle, Node::OUTSIDE), Charge::Branch, 7);
    let rest = graph.add_edge(middle, Charge::OnDemand, 7.0);
    graph.set_target(rest, header);
    graph.add_cost(rest, 3);
    Reweighting::default().reweight(&mut graph);
    assert_eq!([iteration, rest].map(|edge| graph.cost(edge)), [7, 0]);
    // The last iteration does not get to `rest`: what it overpaid is deducted at the entry, or at the exit.
    assert!(graph.cost(exit) <= 7);
}

#[test]
fn a_cost_is_not_copied_to_a_thousand_edges() {
    // All branches of a chain have one target, after which a large cost is charged: on each of the branches, it would add up to
    // a thousand times as much.
    let mut graph = ControlFlowGraph::default();
    graph.clear();
    let end = graph.add_node();
    let mut from = Node::OUTSIDE;
    for _ in 0..1000 {
        let branch_point = graph.add_node();
        edge(&mut graph, (from, branch_point), Charge::OnDemand, 2);
        edge(&mut graph, (branch_point, end), Charge::Branch, 0);
        from = branch_point;
    }
    edge(&mut graph, (from, Node::OUTSIDE), Charge::OnDemand, 1);
    edge(&mut graph, (end, Node::OUTSIDE), Charge::OnDemand, 1_000_000);
    let before: u64 = costs(&graph).iter().sum();
    Reweighting::default().reweight(&mut graph);
    let after: u64 = costs(&graph).iter().sum();
    assert!(after <= before + before / 2 + MIN_GROWTH as u64, "{after}");
}
