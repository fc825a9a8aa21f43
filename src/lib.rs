//! divvy divides the cores of one machine between the ONNX models that run in one process and programs that
//! run beside it, live.
//!
//! Three streams, each one way: requests go from a load generator or a library call through a
//! [`pool`] to an [`engine`]; changes go from a [`layout::Change`] through the [`scheduler`] to the
//! pools and to each [`process::ProcessRow`]; measurements come back as a [`telemetry::Snapshot`].
//!
//! # Embedding
//!
//! A [`Scheduler`] runs the models of a [`Layout`]. [`Scheduler::client`] sends requests to the
//! model of one name, also after it is reloaded; [`Control`] changes budgets and returns snapshots.
//! `examples/embed.rs` is a whole program.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use divvy::engine::Engines;
//! use divvy::layout::{Auto, Edit, EngineChoice, demo};
//! use divvy::scheduler::{EngineLoader, Options};
//! use divvy::telemetry::Author;
//! use divvy::{Change, Control, Scheduler};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
//! let machine = divvy::machine::this_machine(None)?;
//! let scheduler =
//!     Scheduler::start(demo()?.layout(), Options::new(machine, Arc::new(EngineLoader::new(engines))))?;
//!
//! // `detector.infer(inputs).await` runs a request, from any task
//! let detector = scheduler.client("detector").ok_or("no such model")?;
//! # drop(detector);
//!
//! // A change is a transaction: `plan` shows it, `apply` puts it in force or refuses it whole.
//! let model = "detector".to_owned();
//! let change = Change::from(Edit::SetConcurrency { model, concurrency: Auto::Exactly(2) });
//! println!("{}", scheduler.plan(&change)?.summary);
//! scheduler.apply(change, Author::Api)?;
//! assert_eq!(scheduler.layout().models[0].concurrency, Auto::Exactly(2));
//! scheduler.stop(Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```
//!
//! Memory per model is measured only in programs whose global allocator is
//! [`machine::allocation::CountingAllocator`]. A program that puts models on GPUs should set
//! `CUDA_DEVICE_ORDER=PCI_BUS_ID` before it starts, so that CUDA counts the GPUs as layouts do.
//!
//! The modules of the command line, the console and the control socket serve the executable and its tests; they may change
//! in any version.

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod command;
#[doc(hidden)]
pub mod console;
#[cfg(unix)]
#[doc(hidden)]
pub mod control;
pub mod engine;
pub mod layout;
pub mod load;
pub mod machine;
pub mod pool;
pub mod process;
pub mod scheduler;
pub mod server;
pub mod telemetry;

pub use layout::{Budget, Change, Layout};
pub use scheduler::{Control, Scheduler};
pub use telemetry::Snapshot;
