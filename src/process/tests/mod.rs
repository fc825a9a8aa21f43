//! Tests with real processes.
#![cfg(target_os = "linux")]

mod placing;
mod restoring;
mod sampling;
mod support;
