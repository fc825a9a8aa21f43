//! The operations of the interface, for its `OpenAPI` document.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::control::api;
use crate::engine::onnx::ModelFile;
use crate::machine::Description;
use crate::scheduler::{CurrentLayout, SaveReceipt};
use crate::telemetry::{Applied, JournalEntry, Snapshot};

/// Returns the schema of a type.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One path with its method.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// Parameters of the query with their descriptions.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) body: Option<SchemaOf>,
    /// The answer; `None` for the document itself.
    pub(super) answer: Option<SchemaOf>,
    /// True if the answer is a stream of lines.
    pub(super) is_stream: bool,
}

const INCLUDE: (&str, &str) = (
    "include",
    "Parts to add, separated by commas: threads, windows, histograms, memory, journal, or all.",
);
const AFTER: (&str, &str) = ("after", "Only what has a higher number.");

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn get(path: &'static str, summary: &'static str, answer: SchemaOf) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        query: &[],
        body: None,
        answer: Some(answer),
        is_stream: false,
    }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    body: Option<SchemaOf>,
    answer: SchemaOf,
) -> Operation {
    Operation { method: "post", body, ..get(path, summary, answer) }
}

/// All operations.
pub(super) const OPERATIONS: &[Operation] = &[
    get("/v1", "The run.", schema::<api::RunInfo>),
    Operation { answer: None, ..get("/v1/openapi.json", "This document.", schema::<String>) },
    Operation {
        query: &[INCLUDE],
        ..get("/v1/snapshot", "The newest snapshot.", schema::<Snapshot>)
    },
    Operation {
        query: &[INCLUDE],
        is_stream: true,
        ..get("/v1/snapshots", "Each snapshot from now on.", schema::<Snapshot>)
    },
    get("/v1/layout", "The live layout.", schema::<api::LiveLayout>),
    get("/v1/layouts", "The saved layouts.", schema::<api::LayoutList>),
    get("/v1/layouts/{name}", "A saved layout.", schema::<api::StoredLayout>),
    Operation {
        method: "put",
        body: Some(schema::<api::SaveBody>),
        ..get("/v1/layouts/{name}", "Saves a layout.", schema::<SaveReceipt>)
    },
    Operation {
        method: "delete",
        ..get("/v1/layouts/{name}", "Deletes a saved layout.", schema::<()>)
    },
    post(
        "/v1/layouts/{name}/rename",
        "Renames a saved layout.",
        Some(schema::<api::RenameBody>),
        schema::<()>,
    ),
    Operation {
        method: "put",
        body: Some(schema::<CurrentLayout>),
        ..get("/v1/current", "Records which saved layout the live rows belong to.", schema::<()>)
    },
    Operation {
        query: &[
            AFTER,
            (
                "follow",
                "If present, a stream of entries, one per line; one comes again when it has changed.",
            ),
        ],
        ..get("/v1/journal", "The changes of this run.", schema::<api::JournalList>)
    },
    get("/v1/journal/{id}", "One change.", schema::<JournalEntry>),
    get("/v1/machine", "The machine.", schema::<Description>),
    Operation {
        query: &[AFTER],
        ..get("/v1/log", "The newest lines of the log.", schema::<api::LogList>)
    },
    get("/v1/inspect/{model}", "The file of a model.", schema::<ModelFile>),
    post(
        "/v1/plan",
        "What a change would do.",
        Some(schema::<api::ChangeBody>),
        schema::<api::PlannedChange>,
    ),
    post("/v1/apply", "Applies a change.", Some(schema::<api::ChangeBody>), schema::<Applied>),
    post(
        "/v1/undo",
        "Undoes the caller's newest change, or any by its number.",
        Some(schema::<api::HistoryBody>),
        schema::<Applied>,
    ),
    post(
        "/v1/redo",
        "Redoes the change that the caller undid last.",
        Some(schema::<api::HistoryBody>),
        schema::<Applied>,
    ),
    post("/v1/reload", "Reloads the run's files.", None, schema::<api::ReloadAnswer>),
    get("/v1/current", "The saved layout that the live rows belong to.", schema::<CurrentLayout>),
    post(
        "/v1/record/{model}",
        "Starts to record the requests of a model, or stops that.",
        None,
        schema::<api::RecordAnswer>,
    ),
    post("/v1/stop", "Ends the run, as SIGTERM does.", None, schema::<api::StopAnswer>),
];

/// The schema of errors.
pub(super) const ERROR: SchemaOf = schema::<api::ErrorBody>;
