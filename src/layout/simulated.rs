//! Simulated machines for the tests of placement and arithmetic.

use proptest::prelude::*;

use crate::machine::{Core, CoreId, CoreKind, CpuSet, Description, Limits, Topology};

/// The shape of a simulated machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Physical performance (or uniform) cores.
    pub physical: usize,
    /// Threads per core, 1 or 2, numbered as on most servers (sibling = own number + physical).
    pub smt: usize,
    /// Physical cores per L3; `None` if the machine does not report it.
    pub l3: Option<usize>,
    /// L3 groups per node.
    pub node: usize,
    /// Efficiency cores after them, four per L2, with an L3 of their own.
    pub efficient: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { physical: 8, smt: 1, l3: Some(4), node: 1, efficient: 0 }
    }
}

impl Shape {
    /// Returns the topology, with all CPUs online.
    pub(super) fn topology(self) -> Topology {
        let hybrid = self.efficient > 0;
        let kind = if hybrid { CoreKind::Performance } else { CoreKind::Uniform };
        let group = |physical: usize| self.l3.map_or(0, |size| physical / size);
        let fast = (0..self.physical * self.smt).map(|id| {
            let physical = id % self.physical;
            Core {
                id: CoreId(id as u16),
                physical: physical as u32,
                node: (group(physical) / self.node) as u16,
                package: (group(physical) / self.node) as u16,
                l2: Some(physical as u32),
                l3: self.l3.map(|_| group(physical) as u32),
                kind,
                online: true,
                ..Core::default()
            }
        });
        let slow = (0..self.efficient).map(|at| Core {
            id: CoreId((self.physical * self.smt + at) as u16),
            physical: (self.physical + at) as u32,
            l2: Some((self.physical + at / 4) as u32),
            l3: self.l3.map(|_| 1000),
            kind: CoreKind::Efficiency,
            online: true,
            ..Core::default()
        });
        Topology { cores: fast.chain(slow).collect() }
    }

    /// Returns the machine, with all CPUs allowed.
    pub(super) fn machine(self) -> Description {
        let topology = self.topology();
        let limits =
            Limits { allowed: topology.online(), quota: None, memory: None, installed: None };
        Description { topology, limits, simulated: true, ..Description::default() }
    }
}

/// Any topology of 1 to 256 CPUs.
pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    let l3 = prop_oneof![Just(None), (1usize..9).prop_map(Some)];
    (1usize..=96, 1usize..=2, l3, 1usize..4, prop_oneof![Just(0usize), 0usize..=64]).prop_map(
        |(physical, smt, l3, node, efficient)| Shape { physical, smt, l3, node, efficient },
    )
}

/// Any subset.
pub(super) fn subset(of: CpuSet) -> impl Strategy<Value = CpuSet> {
    let ids: Vec<CoreId> = of.iter().collect();
    let count = ids.len();
    prop::sample::subsequence(ids, 0..=count).prop_map(|ids| ids.into_iter().collect())
}

/// Any machine of 1 to 256 CPUs, at least one of them online and allowed.
pub(super) fn machines() -> impl Strategy<Value = Description> {
    (shapes(), any::<prop::sample::Index>(), 0u8..3).prop_flat_map(|(shape, one, cut)| {
        let machine = shape.machine();
        let all = machine.topology.online();
        let spared = all.iter().nth(one.index(all.len())).unwrap();
        let part = move || if cut == 0 { Just(all).boxed() } else { subset(all).boxed() };
        (part(), part()).prop_map(move |(mut allowed, mut online)| {
            allowed.insert(spared);
            online.insert(spared);
            let mut machine = machine.clone();
            machine.limits.allowed = allowed;
            for core in &mut machine.topology.cores {
                core.online = online.contains(core.id);
            }
            machine
        })
    })
}

/// Parses a CPU list.
pub(super) fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}
