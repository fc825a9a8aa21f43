//! Seeded random changes. Each model keeps a core and an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::layout::{Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit, Layout};
use crate::machine::{CoreId, CpuSet, Description};
use crate::pool::Client;

/// Kinds of changes, by their cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChangeKind {
    /// Cores move, or a row gets other ones.
    Cores,
    /// The bound changes; all instances exist.
    Parked,
    /// The bound grows beyond the existing instances.
    Building,
    /// The threads per instance change.
    Threads,
}

impl ChangeKind {
    /// Returns the name in the report.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Parked => "concurrency, parked instances",
            Self::Building => "concurrency, instances to build",
            Self::Threads => "threads",
        }
    }
}

/// A source of random changes.
pub(super) struct RandomChanges {
    rng: Rng,
    names: Vec<String>,
    cores: Vec<CoreId>,
}

impl RandomChanges {
    /// The changes of a layout for a seed.
    pub(super) fn new(seed: u64, layout: &Layout, machine: &Description) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            names: layout.models.iter().map(|budget| budget.name.clone()).collect(),
            cores: machine.limits.allowed.iter().collect(),
        }
    }

    fn name(&mut self) -> String {
        let at = self.rng.usize(..self.names.len().max(1));
        self.names.get(at).cloned().unwrap_or_default()
    }

    /// Returns one to all of the cores.
    fn set(&mut self) -> CpuSet {
        let mut cores = self.cores.clone();
        self.rng.shuffle(&mut cores);
        let count = self.rng.usize(1..=cores.len().max(1));
        cores.into_iter().take(count).collect()
    }

    /// Returns the next change and its kind in the present state.
    pub(super) fn next(&mut self, clients: &BTreeMap<String, Client>) -> (ChangeKind, Change) {
        let model = self.name();
        let (kind, edit) = match self.rng.u32(0..1000) {
            0..400 => {
                let cores = CoreRequest::List(self.set());
                (ChangeKind::Cores, Edit::SetCores { model, cores })
            }
            400..500 => {
                let from = CoreOwner::Model(self.name());
                let (cores, to) = (CoreSelection::Count(1), CoreOwner::Model(model));
                (ChangeKind::Cores, Edit::TransferCores { cores, from, to, share: true })
            }
            500..990 => {
                let most = (self.cores.len() * 2).clamp(2, 64);
                // Sometimes more than ever before, so that instances must be built.
                let most = if self.rng.u8(0..20) == 0 { most + 8 } else { most };
                let count = self.rng.usize(1..=most);
                let there = clients.get(&model).map_or(0, |client| client.seats().serving);
                let kind = if count <= there { ChangeKind::Parked } else { ChangeKind::Building };
                (kind, Edit::SetConcurrency { model, concurrency: Auto::Exactly(count) })
            }
            _ => {
                let threads = Auto::Exactly(self.rng.usize(1..=2));
                (ChangeKind::Threads, Edit::SetThreads { model, threads })
            }
        };
        (kind, Change::from(edit))
    }

    /// Returns a pause of exponential length, for about `rate` changes per second.
    pub(super) fn pause(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64((-(1.0 - self.rng.f64()).ln() / rate).min(1.0))
    }
}
