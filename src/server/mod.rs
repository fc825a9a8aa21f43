//! The server: clients reach the models by the Open Inference Protocol over HTTP and gRPC.
//!
//! A request goes from a connection through [`ServerState::infer`] straight to the pool of its model; no thread of
//! the server runs a model or waits for one. `ServerState` is what all connections share.

mod access;
mod activity;
mod awake_wait;
pub mod bytes_tensor;
mod client_connection;
mod client_service;
mod client_stream;
mod config;
mod counted_request;
pub mod datatype;
mod drain;
mod grpc;
mod handle;
mod http;
mod in_flight;
mod infer;
mod limits;
mod listen_address;
mod listener;
mod metadata;
mod metrics;
mod monitor;
mod off_runtime;
mod outputs;
mod plain_answers;
mod raw_tensor;
mod routes;
mod serve_error;
mod state;
mod statistics;
mod threads;
mod unwritten_answers;
mod view;

pub use access::{Access, AccessError};
pub use activity::{Activity, Connection, ConnectionCounters, ModelActivity};
pub use config::{InstanceGroup, ModelConfig, TensorConfig, TransactionPolicy};
pub use counted_request::CountedRequest;
pub use drain::{AdmittedRequest, Drain};
pub use handle::{DrainEnd, Server, ServerSockets, grpc_router, router, router_of};
pub use in_flight::{InFlight, Reservation};
pub use infer::{InferAnswer, InferRequest};
pub use listen_address::{ListenAddress, ListenAddressError};
pub use listener::ListenError;
pub use metadata::{IndexEntry, ModelMetadata, ServerMetadata, TensorMetadata};
pub use monitor::ServerMonitor;
pub use raw_tensor::{RawTensor, count_elements, read_shape};
pub use serve_error::{ErrorKind, ServeError};
pub use state::{ServerOptions, ServerState};
pub use statistics::{BatchStatistics, InferenceStatistics, ModelStatistics, StatisticDuration};
