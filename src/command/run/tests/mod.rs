//! Tests of the live layout across runs.

mod autosave;
