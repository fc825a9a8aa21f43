//! The order of the table's rows. It is computed on request and then kept, so that rows do not move
//! while their metrics change.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::telemetry::{ModelView, ServerView, Snapshot};

/// The key that rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// As in the layout.
    #[default]
    Layout,
    /// By name.
    Name,
    /// Most cores first.
    Cores,
    /// Slowest 99th percentile first.
    P99,
    /// Least distance to the latency target first.
    Slack,
    /// Most CPU time first.
    Cpu,
    /// Longest queue first.
    Queue,
    /// Most requests per second first.
    Rate,
    /// Most requests per second from outside first.
    Outside,
    /// Most refused requests first.
    Refused,
    /// Most requests per second of the built-in load first.
    Load,
    /// Slowest median first.
    P50,
    /// Most memory first.
    Memory,
}

impl SortKey {
    /// The keys that the sort command cycles through. A click on a column's title reaches the others.
    pub(super) const CYCLE: [Self; 7] =
        [Self::Layout, Self::Name, Self::Cores, Self::P99, Self::Slack, Self::Cpu, Self::Queue];

    /// Returns the key's name for a title, such as "p99".
    fn what(self) -> &'static str {
        match self {
            Self::Layout => "layout",
            Self::Name => "name",
            Self::Cores => "cores",
            Self::P99 => "p99",
            Self::Slack => "SLO slack",
            Self::Cpu => "CPU",
            Self::Queue => "queue",
            Self::Rate => "req/s",
            Self::Outside => "req/s from outside",
            Self::Refused => "refused requests",
            Self::Load => "built-in load",
            Self::P50 => "p50",
            Self::Memory => "memory",
        }
    }

    /// Returns true if the key sorts in ascending order at first.
    fn rises(self) -> bool {
        matches!(self, Self::Layout | Self::Name | Self::Slack)
    }

    /// Returns a row's value; rows without one (`None`) always come last.
    fn figure(self, view: &ModelView, server: Option<&ServerView>) -> Option<f64> {
        let latency = |us: Option<u64>| us.map(|us| us as f64);
        let served = || server?.model(&view.row.budget.name);
        match self {
            Self::Layout | Self::Name => None,
            Self::Cores => Some(view.row.cores.len() as f64),
            Self::P99 => latency(view.p99_us()),
            Self::P50 => latency(view.p50_us()),
            Self::Slack => {
                let bound = view.row.budget.slo?.bound.as_micros() as f64;
                Some(1.0 - view.slo_us()? as f64 / bound.max(1.0))
            }
            Self::Cpu => Some(view.cpu),
            Self::Queue => view.waiting_requests().map(|waiting| waiting as f64),
            Self::Rate => view.requests_per_s(),
            Self::Outside => served().map(|served| served.requests_per_s),
            Self::Refused => served().map(|served| served.recently_refused() as f64),
            Self::Load => view.offered_per_s,
            Self::Memory => Some(view.memory_bytes() as f64),
        }
    }
}

/// The direction of the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SortDirection {
    /// The direction in which the key sorts at first.
    #[default]
    Usual,
    /// The other direction.
    Reversed,
}

impl SortDirection {
    /// Returns the other direction.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Usual => Self::Reversed,
            Self::Reversed => Self::Usual,
        }
    }
}

/// The order of the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sorting {
    pub(super) key: SortKey,
    pub(super) direction: SortDirection,
    /// Index of each model in the order; empty for the layout's order.
    places: HashMap<String, usize>,
}

impl Sorting {
    /// Returns the sort key.
    pub fn key(&self) -> SortKey {
        self.key
    }

    /// Returns true if the order is ascending.
    pub fn rising(&self) -> bool {
        self.key.rises() == (self.direction == SortDirection::Usual)
    }

    /// Returns a description for the table's title; `None` for the layout's order.
    pub fn words(&self) -> Option<String> {
        let first = match (self.key, self.rising()) {
            (SortKey::Layout, false) => "last first",
            (SortKey::Layout, true) => return None,
            (SortKey::Name, true) => "a to z",
            (SortKey::Name, false) => "z to a",
            (_, true) => "least first",
            (_, false) => "most first",
        };
        Some(format!("by {}, {first}", self.key.what()))
    }

    /// Sorts names of models by the kept order.
    pub(super) fn arrange(&self, names: &mut [&String]) {
        if !self.places.is_empty() {
            names.sort_by_key(|name| self.places.get(*name).copied().unwrap_or(usize::MAX));
        }
    }

    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        let (models, server) = (&snapshot.models, snapshot.server.as_deref());
        let key = self.key;
        let rising = self.rising();
        let mut order: Vec<(usize, &ModelView)> = models.iter().enumerate().collect();
        let turned = |order: Ordering| if rising { order } else { order.reverse() };
        order.sort_by(|(left, a), (right, b)| match key {
            SortKey::Layout => turned(left.cmp(right)),
            SortKey::Name => turned(a.row.budget.name.cmp(&b.row.budget.name)),
            _ => match (key.figure(a, server), key.figure(b, server)) {
                (Some(a), Some(b)) => turned(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
        });
        self.places.clear();
        if key != SortKey::Layout || self.direction == SortDirection::Reversed {
            let places = order.iter().enumerate();
            self.places =
                places.map(|(at, (_, view))| (view.row.budget.name.clone(), at)).collect();
        }
    }

    /// Returns true if a model was added or removed since the order was computed.
    pub(super) fn is_old(&self, models: &[ModelView]) -> bool {
        !self.places.is_empty()
            && (self.places.len() != models.len()
                || models.iter().any(|view| !self.places.contains_key(&view.row.budget.name)))
    }
}
