//! The order of the cores on the screen: cores of the same node and last-level cache are adjacent,
//! regardless of their numbers. Steps and ranges use this order too.

use crate::machine::CoreId;
use crate::telemetry::CoreView;

/// Node and last-level cache.
type GroupKey = (u16, Option<u32>);

fn key(view: &CoreView) -> GroupKey {
    (view.core.node, view.core.l3)
}

/// Returns the groups of cores with the same node and last-level cache, as indices, ordered by their
/// first core.
pub(super) fn groups(cores: &[CoreView]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(GroupKey, Vec<usize>)> = Vec::new();
    for (index, view) in cores.iter().enumerate() {
        let key = key(view);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, members)) => members.push(index),
            None => groups.push((key, vec![index])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Returns all cores in screen order.
pub(super) fn arranged(cores: &[CoreView]) -> Vec<&CoreView> {
    groups(cores).into_iter().flatten().filter_map(|index| cores.get(index)).collect()
}

/// Returns the core at a distance from another one, or from the first.
pub(super) fn beside(cores: &[CoreView], from: Option<CoreId>, by: i32) -> Option<CoreId> {
    let cores = arranged(cores);
    let place = |core| cores.iter().position(|view| view.core.id == core);
    let at = from.and_then(place).unwrap_or(0);
    let next = at.saturating_add_signed(by as isize).min(cores.len().saturating_sub(1));
    cores.get(next).map(|view| view.core.id)
}
