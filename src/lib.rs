//! divvy divides the cores and the concurrency of one machine between the ONNX models that run in
//! one process, live.
//!
//! Three streams, each one way: requests go from a load generator or a library call through a
//! [`pool`] into an [`engine`]; changes go from a [`layout::Change`] through the [`scheduler`] to the
//! pools; measurements come back as a [`telemetry::Snapshot`].
//!
//! # In a program of your own
//!
//! A [`Scheduler`] over a [`Layout`] runs the models; [`Scheduler::client`] is the door of one, and
//! [`Control`] is how budgets are changed and figures come back. `examples/embed.rs` is a whole
//! program.
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
//! // `.infer(inputs).await` asks it, from any task
//! let detector = scheduler.client("detector").ok_or("no such model")?;
//! # drop(detector);
//!
//! // a change is a transaction: told beforehand, in force when `apply` returns, or refused whole
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
//! Memory by model is measured in programs whose global allocator is
//! [`machine::allocation::CountingAllocator`]. A program that puts models on GPUs should set
//! `CUDA_DEVICE_ORDER=PCI_BUS_ID` before it starts, so that CUDA counts the cards as layouts do.
//!
//! The command line and the console are here for the executable and its tests, without a promise that
//! they stay as they are.

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod command;
#[doc(hidden)]
pub mod console;
pub mod engine;
pub mod layout;
pub mod load;
pub mod machine;
pub mod pool;
pub mod scheduler;
pub mod telemetry;

pub use layout::{Budget, Change, Layout};
pub use scheduler::{Control, Scheduler};
pub use telemetry::Snapshot;
