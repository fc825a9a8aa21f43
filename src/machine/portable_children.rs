//! Processes that divvy starts, on other systems than Linux: none can be started there.
#![allow(dead_code, reason = "compiled for tests on Linux so that it keeps building")]

use std::io::{self, PipeWriter};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use super::{CpuSet, EndSignal, ProcessId, ProcessRelation};

pub(crate) fn adopt_orphans() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn start_process(_: &mut Command, _: &CpuSet) -> io::Result<(Child, ProcessId)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "divvy starts commands on Linux only"))
}

pub(crate) fn process_relation(_: i32) -> Option<ProcessRelation> {
    None
}

pub(crate) fn process_relations() -> Vec<ProcessRelation> {
    Vec::new()
}

pub(crate) fn adopted_children() -> Vec<ProcessRelation> {
    Vec::new()
}

pub(crate) fn reap_child(_: i32) {}

pub(crate) fn signal_process(_: ProcessId, _: EndSignal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn start_environment(_: i32, _: &str) -> Option<String> {
    None
}

pub(crate) fn pipe_inode(_: &PipeWriter) -> Option<u64> {
    None
}

pub(crate) fn output_pipe(_: i32, _: u64) -> Option<PathBuf> {
    None
}

pub(crate) fn boot_id() -> String {
    String::new()
}

pub(crate) fn exit_description(status: ExitStatus) -> String {
    format!("exit code {}", status.code().unwrap_or_default())
}
