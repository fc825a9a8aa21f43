//! Who asks: the built-in load of every model, from one thread.
//!
//! - **closed loop**: a number of callers that each wait for their reply (and think) before they ask
//!   again;
//! - **open loop**: Poisson or evenly spaced arrivals, whether or not earlier ones were answered;
//! - **replay**: recorded requests at their own times, at a set rate, or by one caller; with `carry`
//!   a request's outputs become inputs of the next one, so that they run one after the other.
//!
//! Latency counts from the **intended** arrival, which each request carries: a generator or a model
//! that falls behind shows in the figures instead of hiding in them (no coordinated omission).
//!
//! Rules that bound memory and work:
//! - An open loop never skips an arrival. It catches up as fast as the door takes requests, with the
//!   arrivals that were meant.
//! - At most [`MAX_IN_FLIGHT`] requests of one load are unanswered at a time. Beyond that the
//!   generator holds back; the schedule of arrivals is computed and not stored, so what is held back
//!   takes no memory, and later arrivals still carry their intended times.
//! - A caller of a closed loop whose request was not answered (rejected, timed out, failed) pauses
//!   10 ms, twice as long after each further failure, up to one second: a door that turns requests
//!   away at once is not asked in a spin.
//!
//! Arrivals are timed by the thread's own wait on its mailbox, not by an async timer: those round to
//! whole milliseconds, which is as long as a small model runs. The thread sleeps until the next
//! arrival and submits all that are due; it never spins.

mod arrivals;
mod closed;
mod driver;
mod error;
#[cfg(test)]
mod fake;
mod follower;
mod job;
mod open;
mod requests;
mod roster;
mod sequential;
#[cfg(test)]
mod tests;
mod ticket;

pub use driver::LoadDriver;
pub use error::LoadError;
pub use follower::LoadFollower;
pub use job::LoadJob;
pub use open::MAX_IN_FLIGHT;
pub use requests::LoadRequests;
pub use ticket::LoadCounts;
