//! `divvy bench apply`: seeded random changes to models under full load. Measures the time until a
//! change is in force and its effect on requests, and checks that no request is lost. Windows with
//! and without changes alternate.

mod changes;
mod growth;
mod report;
mod run;
mod timed_machine;
mod windows;

pub(super) use run::{run, until_running};
