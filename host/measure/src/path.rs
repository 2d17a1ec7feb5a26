use crate::Reading;

/// The node that holds the others up, when one does.
pub fn bottleneck(seen: &[Reading]) -> Option<u32> {
    let held_up = seen.iter().zip(0..).filter_map(|(seen, index)| seen.holds_up().map(|rate| (rate, index)));
    held_up.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, index)| index)
}

/// From a source to a sink, the costliest way, without optional nodes; `order` is every node behind all that feed it.
pub fn critical_path(seen: &[Reading], edges: &[(u32, u32)], order: &[usize]) -> Vec<u32> {
    // The costliest way from a source to each node: what it costs, and from where it comes.
    let mut ways: Vec<Option<(f64, Option<usize>)>> = vec![None; seen.len()];
    let mut best: Option<(f64, usize)> = None;
    let behind = behind(seen.len(), edges);
    for &index in order {
        let Some(node) = seen.get(index) else { continue };
        if node.source
            && let Some(way) = ways.get_mut(index)
        {
            *way = Some((0.0, None));
        }
        let Some(Some((spent, from))) = ways.get(index).copied() else { continue };
        let spent = spent + node.cost_ms();
        if let Some(way) = ways.get_mut(index) {
            *way = Some((spent, from));
        }
        if node.sink && best.is_none_or(|(most, _)| spent > most) {
            best = Some((spent, index));
        }
        for &to in behind.get(index).into_iter().flatten() {
            if let Some(way) = ways.get_mut(to)
                && way.is_none_or(|(most, _)| spent > most)
            {
                *way = Some((spent, Some(index)));
            }
        }
    }
    let mut path = Vec::new();
    let mut at = best.map(|(_, index)| index);
    while let Some(index) = at {
        if seen.get(index).is_some_and(|node| !node.optional)
            && let Ok(index) = u32::try_from(index)
        {
            path.push(index);
        }
        at = ways.get(index).copied().flatten().and_then(|(_, from)| from);
    }
    path.reverse();
    path
}

/// The nodes that come next behind each one, in the order of the edges.
fn behind(count: usize, edges: &[(u32, u32)]) -> Vec<Vec<usize>> {
    let mut behind = vec![Vec::new(); count];
    for (from, to) in edges {
        if let Some(behind) = behind.get_mut(*from as usize) {
            behind.push(*to as usize);
        }
    }
    behind
}

/// Topological order; what is on a cycle is left out.
pub fn sorted(count: usize, edges: &[(u32, u32)]) -> Vec<usize> {
    let mut feeds = vec![0usize; count];
    for (_, to) in edges {
        if let Some(feeds) = feeds.get_mut(*to as usize) {
            *feeds += 1;
        }
    }
    let behind = behind(count, edges);
    let mut order: Vec<usize> = (0..count).filter(|node| feeds.get(*node) == Some(&0)).collect();
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        next += 1;
        for &to in behind.get(node).into_iter().flatten() {
            if let Some(feeds) = feeds.get_mut(to) {
                *feeds -= 1;
                if *feeds == 0 {
                    order.push(to);
                }
            }
        }
    }
    order
}
