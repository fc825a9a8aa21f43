//! Tests of the owner's parts without its thread.

mod workloads;
