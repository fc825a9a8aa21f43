//! Seeded random changes that keep every model alive: each keeps a core and an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::layout::{Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit, Layout};
use crate::machine::{CoreId, CpuSet, Description};
use crate::pool::Client;

/// Kinds of changes, by what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Cores move, or a row gets others.
    Cores,
    /// The bound changes, and the instances are there.
    Parked,
    /// The bound grows beyond the instances that are there.
    Building,
    /// Another width.
    Threads,
}

impl Kind {
    /// As the report names it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Parked => "concurrency, parked instances",
            Self::Building => "concurrency, instances to build",
            Self::Threads => "threads",
        }
    }
}

/// The source of them.
pub(super) struct Random {
    rng: Rng,
    names: Vec<String>,
    cores: Vec<CoreId>,
}

/// Changes of this layout, by this seed.
pub(super) fn random(seed: u64, layout: &Layout, machine: &Description) -> Random {
    Random {
        rng: Rng::with_seed(seed),
        names: layout.models.iter().map(|budget| budget.name.clone()).collect(),
        cores: machine.limits.allowed.iter().collect(),
    }
}

impl Random {
    fn name(&mut self) -> String {
        let at = self.rng.usize(..self.names.len().max(1));
        self.names.get(at).cloned().unwrap_or_default()
    }

    /// One to all of the cores.
    fn set(&mut self) -> CpuSet {
        let mut cores = self.cores.clone();
        self.rng.shuffle(&mut cores);
        let count = self.rng.usize(1..=cores.len().max(1));
        cores.into_iter().take(count).collect()
    }

    /// The next change, and what it costs as things are now.
    pub(super) fn next(&mut self, clients: &BTreeMap<String, Client>) -> (Kind, Change) {
        let model = self.name();
        let (kind, edit) = match self.rng.u32(0..1000) {
            0..400 => {
                let cores = CoreRequest::List(self.set());
                (Kind::Cores, Edit::SetCores { model, cores })
            }
            400..500 => {
                let from = CoreOwner::Model(self.name());
                let (cores, to) = (CoreSelection::Count(1), CoreOwner::Model(model));
                (Kind::Cores, Edit::TransferCores { cores, from, to, share: true })
            }
            500..990 => {
                let most = (self.cores.len() * 2).clamp(2, 64);
                // Now and then beyond what was ever there, so that instances must be built.
                let most = if self.rng.u8(0..20) == 0 { most + 8 } else { most };
                let count = self.rng.usize(1..=most);
                let there = clients.get(&model).map_or(0, |client| client.seats().serving);
                let kind = if count <= there { Kind::Parked } else { Kind::Building };
                (kind, Edit::SetConcurrency { model, concurrency: Auto::Exactly(count) })
            }
            _ => {
                let threads = Auto::Exactly(self.rng.usize(1..=2));
                (Kind::Threads, Edit::SetThreads { model, threads })
            }
        };
        (kind, Change::from(edit))
    }

    /// A pause with exponential length, so that changes come `rate` times a second or nearly.
    pub(super) fn pause(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64((-(1.0 - self.rng.f64()).ln() / rate).min(1.0))
    }
}
