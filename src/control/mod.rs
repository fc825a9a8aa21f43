//! The control interface: other programs watch and change a running divvy over HTTP with JSON.
//!
//! The host ([`ControlServer`]) answers on a Unix socket, which [`ControlSocket`] names and binds, and passes
//! each change to the run's [`crate::scheduler::Control`]. The client ([`ControlClient`]) finds running divvys
//! ([`find_runs`]) and calls them from blocking code. [`api`] has the types of both sides.

pub mod api;
mod caller;
mod change_routes;
mod client;
mod connection;
mod directory;
mod error;
mod folders;
mod host;
mod json_body;
mod layout_client;
mod listener;
mod openapi;
mod path_part;
mod read_routes;
mod remote;
mod remote_paths;
mod routes;
mod run_name;
mod snapshot_cache;
mod snapshot_json;
mod socket;
mod store_routes;
mod streams;
mod timed_stream;

pub use caller::user_name;
pub use client::{ClientError, ControlClient, LineStream};
pub use connection::Address;
pub use directory::{FoundRun, RunState, find_run, find_runs};
pub use folders::{SearchFolders, default_folder};
pub use host::{ControlHost, ControlServer, RunIdentity};
pub use listener::{Access, ControlListener, TcpAccess};
pub use remote::RemoteControl;
pub use remote_paths::RemotePaths;
pub use run_name::{RunName, RunNameError};
pub use snapshot_json::{SnapshotParts, snapshot_json};
pub use socket::{ControlSocket, NameChoice, SocketError};
