//! Pools: each runs one model, with its queue, its instances and their threads.
//!
//! A [`Pool`] owns the gate (`gate.rs`: admission and queue), the model's threads (`threads.rs`) and
//! the batches of instances being built (`builds.rs`). Changes of cores and bounds take microseconds.
//! Instances with another number of threads are built beside the old ones, which keep serving until
//! the new ones are warm.

mod build;
mod build_places;
mod builders;
mod builds;
mod drain;
mod engine_threads;
mod event;
mod gate;
mod gate_flags;
mod gate_seats;
mod gate_state;
mod handle;
mod health;
mod infer;
mod inner;
mod input_check;
mod job;
mod job_queue;
mod limited_runs;
mod load_turn;
mod memory;
mod memory_turn;
mod published_counts;
mod recording;
mod rejection;
mod replies;
mod request;
mod seat_table;
mod serve;
mod shrink_pacer;
mod sync;
mod taken_job;
#[cfg(test)]
mod tests;
mod thread_calls;
mod threads;
mod trial;
mod wake_batch;
mod worker;

pub use build_places::{BUILDS_AT_ONCE, BuildPlaces};
pub use engine_threads::engine_threads;
pub use event::{BatchId, BuildReport, Listener, PoolEvent};
pub use gate_state::Seats;
pub use handle::{PARKED_LIMIT, Pool, PoolMemory};
pub use infer::{Client, Pending};
pub use load_turn::LoadTurn;
pub use memory::tensor_bytes;
pub use recording::{
    MAX_RECORDED_BYTES, RecordingError, RecordingOptions, RecordingReport, RunningRecording,
    check_recording_file,
};
pub use rejection::Rejection;
pub use request::{
    Outcome, Priority, Reply, Request, RequestError, RequestId, RequestOptions, RequestSender,
};
pub use threads::Member;
pub(crate) use wake_batch::{collecting_wakes, wake_at_once, wake_collected};
