//! The built-in load of every model, sent from one thread.
//!
//! - **closed loop**: a number of callers; each waits for its reply, thinks, and sends again;
//! - **open loop**: Poisson or evenly spaced arrivals, independent of replies;
//! - **replay**: recorded requests at their recorded times, at a set rate, or by one caller. With
//!   `carry`, a request's outputs become inputs of the next one, so they run one after another.
//!
//! Latency counts from the **intended** arrival, which each request carries: a generator or a model
//! that falls behind shows in the latencies (no coordinated omission).
//!
//! Rules that bound memory and work:
//! - An open loop never skips an arrival. It catches up as fast as the model admits requests, with
//!   the arrivals that were intended.
//! - At most [`MAX_IN_FLIGHT`] requests of one load are unanswered at a time. Beyond that the
//!   generator waits. The schedule of arrivals is computed and not stored, so waiting takes no
//!   memory, and later arrivals still carry their intended times.
//! - A caller of a closed loop whose request was rejected, timed out or failed pauses 10 ms, doubled
//!   with each further failure, up to one second: a model that rejects at once does not make its
//!   callers spin.
//!
//! Arrivals are timed by the thread's wait on its mailbox, not by an async timer: those round to
//! whole milliseconds, which is as long as a small model runs. The thread sleeps until the next
//! arrival and submits all that are due; it never spins.

mod arrivals;
mod closed;
mod counters;
mod driver;
mod error;
mod follower;
mod generator;
mod job;
mod message;
mod open;
mod requests;
mod running_loads;
mod sequential;
mod submit;
#[cfg(test)]
mod tests;

pub use counters::LoadCounts;
pub use driver::LoadDriver;
pub use error::LoadError;
pub use follower::LoadFollower;
pub use job::LoadJob;
pub use open::MAX_IN_FLIGHT;
pub use requests::LoadRequests;
