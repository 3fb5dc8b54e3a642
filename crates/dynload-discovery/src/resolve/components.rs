//! Cycles in a graph of plugins, without recursion: a chain of dependencies can contain every plugin.

use std::collections::{BTreeMap, BTreeSet};

use crate::PluginId;

/// The dependencies of each plugin.
pub(super) type Graph<'a> = BTreeMap<&'a PluginId, Vec<&'a PluginId>>;

/// Returns the strongly connected components of more than one plugin, ordered by their least id (Tarjan 1972, with an explicit
/// stack). No plugin depends on itself: the manifest parser refuses that.
pub(super) fn components<'a>(graph: &Graph<'a>) -> Vec<Vec<&'a PluginId>> {
    let ids: Vec<&PluginId> = graph.keys().copied().collect();
    let place: BTreeMap<&PluginId, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let edges: Vec<Vec<usize>> = graph
        .values()
        .map(|next| next.iter().filter_map(|id| place.get(id).copied()).collect())
        .collect();

    const NEW: usize = usize::MAX;
    let mut number = vec![NEW; ids.len()];
    let mut lowest = vec![0; ids.len()];
    let mut on_stack = vec![false; ids.len()];
    let (mut stack, mut count, mut found) = (Vec::new(), 0, Vec::new());
    for start in 0..ids.len() {
        if number[start] != NEW {
            continue;
        }
        // The plugins along the path from `start`, each with the edge to follow next.
        let mut way = vec![(start, 0)];
        while let Some((at, edge)) = way.last_mut() {
            let at = *at;
            if *edge == 0 && number[at] == NEW {
                (number[at], lowest[at]) = (count, count);
                count += 1;
                stack.push(at);
                on_stack[at] = true;
            }
            if let Some(&to) = edges[at].get(*edge) {
                *edge += 1;
                if number[to] == NEW {
                    way.push((to, 0));
                } else if on_stack[to] {
                    lowest[at] = lowest[at].min(number[to]);
                }
                continue;
            }
            way.pop();
            if let Some((before, _)) = way.last() {
                lowest[*before] = lowest[*before].min(lowest[at]);
            }
            if lowest[at] == number[at] {
                let first = stack.iter().rposition(|&one| one == at).unwrap_or(0);
                let mut members = stack.split_off(first);
                members.iter().for_each(|&one| on_stack[one] = false);
                if members.len() > 1 {
                    members.sort_unstable();
                    found.push(members);
                }
            }
        }
    }
    found.sort_unstable();
    found
        .into_iter()
        .map(|members| members.into_iter().map(|at| ids[at]).collect())
        .collect()
}

/// Returns one cycle for each component, from its least id: the shortest path from that plugin back to itself. The rest of the
/// component is blocked by this cycle, or is reported once this cycle is fixed.
pub(super) fn circles<'a>(graph: &Graph<'a>) -> Vec<Vec<&'a PluginId>> {
    let mut circles = Vec::new();
    for component in components(graph) {
        let members: BTreeSet<&PluginId> = component.iter().copied().collect();
        let Some(&start) = component.first() else { continue };
        let mut from: BTreeMap<&PluginId, &PluginId> = BTreeMap::new();
        let mut open = std::collections::VecDeque::from([start]);
        while let Some(id) = open.pop_front() {
            for &to in graph
                .get(id)
                .into_iter()
                .flatten()
                .filter(|to| members.contains(*to))
            {
                if to != start && !from.contains_key(to) {
                    from.insert(to, id);
                    open.push_back(to);
                } else if to == start && !from.contains_key(start) {
                    from.insert(start, id);
                }
            }
        }
        let mut circle = vec![start];
        let mut at = start;
        while let Some(&before) = from.get(at) {
            if before == start {
                break;
            }
            circle.push(before);
            at = before;
        }
        circle[1..].reverse();
        circles.push(circle);
    }
    circles
}

/// Returns whether `from` depends on `to`, directly or indirectly.
pub(super) fn reaches(graph: &Graph<'_>, from: &PluginId, to: &PluginId) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        let next = graph.get(at).into_iter().flatten();
        open.extend(next.copied().filter(|next| seen.insert(next)));
    }
    false
}
