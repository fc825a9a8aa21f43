//! Which cores: picks CPUs that belong together, and the ones that are missed least. Pure.
//!
//! Rules, the strongest first:
//!
//! 1. A physical core that nobody else uses comes before the SMT sibling of one that somebody does;
//!    within a model whole physical cores are filled, so that two models meet on a physical core
//!    only when nothing else is left.
//! 2. Performance cores come before efficiency cores.
//! 3. CPUs close to those that the model has: same physical core, L2, L3, node, package.
//! 4. Otherwise the tightest domain that holds them all, and of several the one with the least room
//!    left over (best fit), so that whole caches stay free for those who need a whole one.
//! 5. Lower numbers first. The same question always has the same answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::machine::{Core, CoreKind, CpuSet, Topology};

/// Picks up to `count` of `candidates`; fewer only when they run out. `near` are the CPUs that the
/// model has already. A sibling that is in neither set counts as used by somebody else.
pub fn pick(topology: &Topology, candidates: &CpuSet, near: &CpuSet, count: usize) -> CpuSet {
    let mut chosen = CpuSet::EMPTY;
    for tier in tiers(topology, candidates, near) {
        let need = count.saturating_sub(chosen.len());
        let around = near.union(&chosen);
        chosen = chosen.union(&choose(topology, Level::Package, &tier, &around, need));
    }
    chosen
}

/// The `count` CPUs of `from` that a model gives up, so that it keeps a compact rest: halves of
/// physical cores and efficiency cores go first, then what lies outside the tightest domain.
pub fn release(topology: &Topology, from: &CpuSet, count: usize) -> CpuSet {
    let kept = pick(topology, from, &CpuSet::EMPTY, from.len().saturating_sub(count));
    from.difference(&kept)
}

/// The `count` CPUs of `from` that change hands best: those that complete what the receiver has
/// (its physical cores, then its last-level caches), then those that the donor misses least.
pub(super) fn hand_over(
    topology: &Topology,
    from: &CpuSet,
    receiver: &CpuSet,
    count: usize,
) -> CpuSet {
    let mut given = CpuSet::EMPTY;
    for level in [Level::Physical, Level::L3] {
        let places = level.keys(topology, receiver);
        let close: CpuSet = from
            .difference(&given)
            .iter()
            .filter(|id| topology.core(*id).is_some_and(|core| places.contains(&level.key(core))))
            .collect();
        let need = count.saturating_sub(given.len());
        given = given.union(&release(topology, &close, need));
    }
    let rest = from.difference(&given);
    given.union(&release(topology, &rest, count.saturating_sub(given.len())))
}

/// A domain that CPUs share, the widest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Package,
    Node,
    L3,
    L2,
    Physical,
}

/// Names a domain of a level: whether it is a stand-in for an unknown one, and its number.
type Key = (bool, u32);

impl Level {
    const ALL: [Self; 5] = [Self::Package, Self::Node, Self::L3, Self::L2, Self::Physical];

    fn inner(self) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level > self)
    }

    /// Where a cache is unknown, an L3 is taken to span the node and an L2 the physical core.
    fn key(self, core: &Core) -> Key {
        let known = |id| (false, id);
        match self {
            Self::Package => known(u32::from(core.package)),
            Self::Node => known(u32::from(core.node)),
            Self::L3 => core.l3.map_or((true, u32::from(core.node)), known),
            Self::L2 => core.l2.map_or((true, core.physical), known),
            Self::Physical => known(core.physical),
        }
    }

    fn keys(self, topology: &Topology, set: &CpuSet) -> BTreeSet<Key> {
        set.iter().filter_map(|id| topology.core(id)).map(|core| self.key(core)).collect()
    }

    fn groups(self, topology: &Topology, set: &CpuSet) -> BTreeMap<Key, CpuSet> {
        let mut groups: BTreeMap<Key, CpuSet> = BTreeMap::new();
        for core in set.iter().filter_map(|id| topology.core(id)) {
            groups.entry(self.key(core)).or_default().insert(core.id);
        }
        groups
    }
}

/// The candidates in classes of rules 1 and 2. CPUs that the topology does not know come last.
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

/// Rules 3 to 5 within one class: goes down from the widest domain to single CPUs.
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
            // CPUs unknown to the topology have no domain
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

/// The tightest cache or node within `group`, itself included, that has room for `need`.
fn tightest(topology: &Topology, level: Level, group: &CpuSet, need: usize) -> Option<Level> {
    [Level::L2, Level::L3, Level::Node, Level::Package].into_iter().find(|inner| {
        *inner >= level && inner.groups(topology, group).values().any(|part| part.len() >= need)
    })
}

#[cfg(test)]
mod tests;
