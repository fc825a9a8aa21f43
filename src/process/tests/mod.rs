//! Tests with real processes.
#![cfg(target_os = "linux")]

mod commands;
mod placing;
mod reporting;
mod restoring;
mod sampling;
mod support;
mod weights;
