//! The server: clients reach the models by the Open Inference Protocol over HTTP and gRPC.
//!
//! A request goes from a connection through [`ServerState::infer`] straight to the pool of its model; no thread of
//! the server runs a model or waits for one. `ServerState` is what all connections share.

mod access;
mod activity;
mod drain;
mod in_flight;
mod infer;
mod limits;
mod monitor;
mod serve_error;
mod state;
mod view;

pub use access::{Access, AccessError};
pub use activity::{Activity, Connection, ConnectionCounters, ModelActivity};
pub use drain::Drain;
pub use in_flight::{InFlight, Reservation};
pub use infer::{InferAnswer, InferRequest};
pub use monitor::ServerMonitor;
pub use serve_error::{ErrorKind, ServeError};
pub use state::{ServedModel, ServerOptions, ServerState};
