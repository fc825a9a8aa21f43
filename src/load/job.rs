//! The load of one model as it is ordered.

use std::sync::Arc;

use super::error::LoadError;
use super::requests::LoadRequests;
use crate::engine::TensorSpec;
use crate::layout::LoadSpec;
use crate::pool::RequestSender;

/// A load for one model.
#[derive(Clone)]
pub struct LoadJob {
    /// The receiver of the requests.
    pub sender: Arc<dyn RequestSender>,
    /// The times of the requests. The file of a replay is not read here: its content is in
    /// `requests`.
    pub spec: LoadSpec,
    /// The requests to send.
    pub requests: Arc<LoadRequests>,
    /// Seeds gaps and shuffles: the same seed gives the same load.
    pub seed: u64,
}

impl LoadJob {
    /// Returns true if another job is the same load.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.has_same_source(other) && self.spec == other.spec
    }

    /// Returns true if another job differs only in the times of its requests.
    pub(super) fn has_same_source(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.sender), Arc::as_ptr(&other.sender))
            && Arc::ptr_eq(&self.requests, &other.requests)
            && self.seed == other.seed
    }

    /// Checks that this load can run.
    ///
    /// # Errors
    /// [`LoadError`] for a number out of its range, and for a `carry` that the model's signature does
    /// not allow.
    pub fn check(&self) -> Result<(), LoadError> {
        match &self.spec {
            LoadSpec::Closed { clients, .. } => {
                if !(1..=10_000).contains(clients) {
                    return Err(LoadError::OutOfRange {
                        field: "clients",
                        value: clients.to_string(),
                        range: "1 to 10000",
                    });
                }
                Ok(())
            }
            LoadSpec::Poisson { rate } | LoadSpec::Constant { rate } => check_rate(*rate),
            LoadSpec::Replay { rate, carry, .. } => {
                if let Some(rate) = rate {
                    check_rate(*rate)?;
                }
                let signature = self.sender.signature();
                for (output, input) in carry {
                    check_name("output", output, &signature.outputs)?;
                    check_name("input", input, &signature.inputs)?;
                }
                Ok(())
            }
        }
    }
}

fn check_rate(rate: f64) -> Result<(), LoadError> {
    if rate > 0.0 && rate <= 1_000_000.0 {
        return Ok(());
    }
    Err(LoadError::OutOfRange {
        field: "rate",
        value: rate.to_string(),
        range: "above 0 and at most 1000000 requests per second",
    })
}

fn check_name(side: &'static str, name: &str, specs: &[TensorSpec]) -> Result<(), LoadError> {
    if specs.iter().any(|spec| spec.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    Err(LoadError::UnknownCarry { side, name: name.to_owned(), known: known.join(", ") })
}
