//! Placement: chooses the cores that a model gets or releases, by topology. Pure.
//!
//! Rules, the strongest first:
//!
//! 1. A physical core that no other model uses comes before the SMT sibling of one in use. A model
//!    fills whole physical cores, so that two models share a physical core only when no other is
//!    left.
//! 2. Performance cores come before efficiency cores.
//! 3. CPUs near those that the model has come first: same physical core, L2, L3, node, package.
//! 4. Otherwise the smallest domain that holds all CPUs and, of several, the one with the least room
//!    left (best fit), so that whole caches stay free for models that need one.
//! 5. Lower numbers come first. The same input always gives the same result.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::machine::{Core, CoreKind, CpuSet, Topology};

/// Picks `count` of `candidates`, or all if there are fewer. `near` are the CPUs that the model has
/// already. A sibling that is in neither set counts as used by another model.
pub fn pick(topology: &Topology, candidates: &CpuSet, near: &CpuSet, count: usize) -> CpuSet {
    let mut chosen = CpuSet::EMPTY;
    for tier in tiers(topology, candidates, near) {
        let need = count.saturating_sub(chosen.len());
        let around = near.union(&chosen);
        chosen = chosen.union(&choose(topology, Level::Package, &tier, &around, need));
    }
    chosen
}

/// Returns the `count` CPUs of `from` that a model releases, so that it keeps a compact rest: first
/// halves of physical cores and efficiency cores, then CPUs outside the smallest domain.
pub fn release(topology: &Topology, from: &CpuSet, count: usize) -> CpuSet {
    let rest = pick(topology, from, &CpuSet::EMPTY, from.len().saturating_sub(count));
    from.difference(&rest)
}

/// Returns the `count` CPUs of `from` that a donor gives to a receiver: first those that complete the
/// receiver's physical cores, then its last-level caches, then those that the donor would release.
pub(super) fn hand_over(
    topology: &Topology,
    from: &CpuSet,
    receiver: &CpuSet,
    count: usize,
) -> CpuSet {
    let mut handed = CpuSet::EMPTY;
    for level in [Level::Physical, Level::L3] {
        let places = level.keys(topology, receiver);
        let close: CpuSet = from
            .difference(&handed)
            .iter()
            .filter(|id| topology.core(*id).is_some_and(|core| places.contains(&level.key(core))))
            .collect();
        let need = count.saturating_sub(handed.len());
        handed = handed.union(&release(topology, &close, need));
    }
    let rest = from.difference(&handed);
    handed.union(&release(topology, &rest, count.saturating_sub(handed.len())))
}

/// The levels of domains that CPUs share, the widest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Package,
    Node,
    L3,
    L2,
    Physical,
}

/// Identifies a domain of a level: true if it replaces an unknown domain, and its number.
type DomainKey = (bool, u32);

impl Level {
    const ALL: [Self; 5] = [Self::Package, Self::Node, Self::L3, Self::L2, Self::Physical];

    fn inner(self) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level > self)
    }

    /// Returns the domain of a core. An unknown L3 is assumed to span the node, and an unknown L2 the
    /// physical core.
    fn key(self, core: &Core) -> DomainKey {
        let known = |id| (false, id);
        match self {
            Self::Package => known(u32::from(core.package)),
            Self::Node => known(u32::from(core.node)),
            Self::L3 => core.l3.map_or((true, u32::from(core.node)), known),
            Self::L2 => core.l2.map_or((true, core.physical), known),
            Self::Physical => known(core.physical),
        }
    }

    fn keys(self, topology: &Topology, set: &CpuSet) -> BTreeSet<DomainKey> {
        set.iter().filter_map(|id| topology.core(id)).map(|core| self.key(core)).collect()
    }

    fn groups(self, topology: &Topology, set: &CpuSet) -> BTreeMap<DomainKey, CpuSet> {
        let mut groups: BTreeMap<DomainKey, CpuSet> = BTreeMap::new();
        for core in set.iter().filter_map(|id| topology.core(id)) {
            groups.entry(self.key(core)).or_default().insert(core.id);
        }
        groups
    }
}

/// Divides the candidates into classes by rules 1 and 2. CPUs that the topology does not know are last.
fn tiers(topology: &Topology, candidates: &CpuSet, near: &CpuSet) -> [CpuSet; 5] {
    let siblings = Level::Physical.groups(topology, &topology.online());
    let own = candidates.union(near);
    let mut tiers = [CpuSet::EMPTY; 5];
    for id in candidates.iter() {
        let class = topology.core(id).map_or(4, |core| {
            let whole = siblings
                .get(&Level::Physical.key(core))
                .is_none_or(|siblings| siblings.is_subset(&own));
            match (whole, core.kind) {
                (true, CoreKind::Uniform | CoreKind::Performance) => 0,
                (true, CoreKind::Efficiency) => 1,
                (false, CoreKind::Uniform | CoreKind::Performance) => 2,
                (false, CoreKind::Efficiency) => 3,
            }
        });
        if let Some(tier) = tiers.get_mut(class) {
            tier.insert(id);
        }
    }
    tiers
}

/// Applies rules 3 to 5 within one class, from the widest domain down to single CPUs.
fn choose(topology: &Topology, level: Level, set: &CpuSet, near: &CpuSet, need: usize) -> CpuSet {
    if need >= set.len() {
        return *set;
    }
    let mut groups = level.groups(topology, set);
    let places = level.keys(topology, near);
    let mut chosen = CpuSet::EMPTY;
    while chosen.len() < need {
        let need = need - chosen.len();
        let best = groups.iter().min_by_key(|(key, group)| {
            let fits = group.len() >= need;
            let room = if fits { (0, group.len()) } else { (1, usize::MAX - group.len()) };
            let tightest = if fits { tightest(topology, level, group, need) } else { None };
            (!places.contains(*key), !fits, Reverse(tightest), room, group.lowest())
        });
        let Some((key, group)) = best.map(|(key, group)| (*key, *group)) else {
            // CPUs that the topology does not know have no domain
            return chosen.union(&set.difference(&chosen).iter().take(need).collect());
        };
        groups.remove(&key);
        let part = match level.inner() {
            Some(inner) => choose(topology, inner, &group, near, need.min(group.len())),
            None => group.iter().take(need).collect(),
        };
        chosen = chosen.union(&part);
    }
    chosen
}

/// Returns the level of the smallest domain within `group`, or `group` itself, that has `need` CPUs.
fn tightest(topology: &Topology, level: Level, group: &CpuSet, need: usize) -> Option<Level> {
    [Level::L2, Level::L3, Level::Node, Level::Package].into_iter().find(|inner| {
        *inner >= level && inner.groups(topology, group).values().any(|part| part.len() >= need)
    })
}

#[cfg(test)]
mod tests;
