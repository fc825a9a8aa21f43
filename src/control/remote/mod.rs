//! The interfaces of a scheduler in another process, over its control socket. The console uses them as it
//! uses those of a scheduler in its own process.

mod follower;
mod mirror;
mod opened;
mod remote_control;
mod remote_files;

pub use remote_control::RemoteControl;
