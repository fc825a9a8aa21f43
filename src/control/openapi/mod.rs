//! The `OpenAPI` document of the interface: served as it is committed, and generated from the types by a test.

#[cfg(test)]
mod document;
#[cfg(test)]
mod operations;

/// The document, in JSON.
pub(super) const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
