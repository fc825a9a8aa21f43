//! The requests that a program reports itself, on a page in Prometheus' text format.
//!
//! A [`MetricsReader`] has one thread, which fetches the page (`http.rs`), reads its lines
//! (`exposition.rs`), picks those of known programs (`families.rs`), sums them (`series.rs`) and computes
//! rates and percentiles over the last seconds (`history.rs`).

mod exposition;
mod families;
mod fault;
mod history;
mod http;
mod reader;
mod series;
#[cfg(test)]
pub(super) mod tests;

pub(super) use reader::CountedRequests;
pub use reader::MetricsReader;
