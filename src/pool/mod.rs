//! Where a model runs: admission, queue, instances, and the live resize of one model.

mod request;

pub use request::{Door, Outcome, Reply, Request, RequestError};
