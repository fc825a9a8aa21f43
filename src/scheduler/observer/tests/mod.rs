//! Tests of the observer's parts without its thread.

mod workloads;
