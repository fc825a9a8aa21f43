//! One reading of the counters of all models, for one scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::pool::Client;
use crate::server::activity::ModelActivity;
use crate::server::state::ServerState;
use crate::telemetry::{MemoryRow, RequestCounts, RequestTotals, Snapshot};

/// The counters of one model that has a pool.
pub(super) struct ModelReading {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) counts: RequestCounts,
    pub(super) totals: RequestTotals,
}

/// The requests from outside to the models of one name.
pub(super) struct ClientReading {
    /// The name; empty for requests that name no model of the layout.
    pub(super) name: String,
    /// The version; empty without a name.
    pub(super) version: String,
    pub(super) activity: Arc<ModelActivity>,
}

/// The settings of one row and its state in the newest snapshot.
pub(super) struct RowReading {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) is_ready: bool,
    pub(super) cores: u64,
    pub(super) concurrency: u64,
    pub(super) weight: u64,
    /// CPU time since it was loaded.
    pub(super) cpu: Duration,
    /// The resident memory of its processes, in bytes; `None` for a model.
    pub(super) resident: Option<u64>,
    /// The parts of its memory; empty while it has no entry in the memory table.
    pub(super) memory: MemoryRow,
}

impl RowReading {
    /// Returns true if it is a model, not processes.
    pub(super) fn is_model(&self) -> bool {
        self.resident.is_none()
    }

    /// Returns the parts of the memory that its budget limits, in bytes.
    pub(super) fn memory_parts(&self) -> Vec<(&'static str, u64)> {
        if let Some(resident) = self.resident {
            return vec![("resident", resident)];
        }
        let memory = &self.memory;
        vec![
            ("weights", memory.weights_bytes),
            ("graph", memory.graph_bytes),
            ("arena", memory.arena_bytes.unwrap_or(0)),
            ("requests", memory.requests_bytes),
            ("prepared", memory.prepared_bytes),
        ]
    }
}

/// Reads the counters of all pools, sorted by name.
pub(super) fn read_models(state: &ServerState) -> Vec<ModelReading> {
    let models = state.models.all();
    let read = |(name, client): (&String, &Client)| ModelReading {
        name: name.clone(),
        version: state.version(name),
        counts: client.counts(),
        totals: client.recorder().totals(),
    };
    models.iter().map(read).collect()
}

/// Reads the requests from outside: of all names in the layout, of names that were in it before, and last
/// of requests without a model.
pub(super) fn read_clients(state: &ServerState, models: &[ModelReading]) -> Vec<ClientReading> {
    let mut by_name: BTreeMap<String, Arc<ModelActivity>> =
        state.activity.models().into_iter().collect();
    for model in models {
        by_name.entry(model.name.clone()).or_default();
    }
    let named = by_name.into_iter().map(|(name, activity)| {
        let version = state.version(&name);
        ClientReading { name, version, activity }
    });
    let unknown = ClientReading {
        name: String::new(),
        version: String::new(),
        activity: state.activity.unknown_model().clone(),
    };
    named.chain([unknown]).collect()
}

/// Reads the rows of a snapshot, in layout order.
pub(super) fn read_rows(state: &ServerState, snapshot: &Snapshot) -> Vec<RowReading> {
    let rows = snapshot.models.iter().map(|model| {
        let name = &model.row.budget.name;
        let memory = snapshot.memory_table.models.iter().find(|row| row.model == *name);
        let cores = model.actual.effective_cores.as_ref().unwrap_or(&model.row.cores);
        RowReading {
            name: name.clone(),
            version: state.version(name),
            is_ready: state.is_model_ready(name),
            cores: cores.len() as u64,
            concurrency: model.row.concurrency as u64,
            weight: u64::from(model.row.budget.weight),
            cpu: Duration::from_micros(model.cpu_total_us),
            resident: model.process.as_ref().map(|process| process.rss_bytes),
            memory: memory.cloned().unwrap_or_default(),
        }
    });
    rows.collect()
}
