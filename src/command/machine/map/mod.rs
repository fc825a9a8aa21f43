//! The text map of a machine, 80 columns wide: the limits, then sockets and NUMA nodes with their
//! cache groups and one cell per physical core.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::gpus;
use super::report::MachineReport;
use crate::layout::Bytes;
use crate::machine::{Core, CoreKind, CpuSet, Description, Topology};

const WIDTH: usize = 80;
/// The column at which the text of the head lines starts.
const HEAD: usize = 10;
/// The column at which the cells of the map start.
const CELLS: usize = 10;

/// Returns the map; each line ends with a newline.
pub(super) fn draw(report: &MachineReport) -> String {
    let description = &report.description;
    let mut out = String::new();
    let mut head = |name: &str, text: &str| {
        for (at, line) in wrap(text, WIDTH - HEAD).iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            _ = writeln!(out, "{name:<HEAD$}{line}");
        }
    };
    head("CPUs", &size(&description.topology));
    head("usable", &usable(description));
    head("quota", &quota(description));
    head("memory", &memory(report));
    for line in gpus::lines(&report.gpus) {
        head("GPU", &line);
    }
    for note in &description.notes {
        head("note", note);
    }
    if description.simulated {
        head("note", "this machine is simulated");
    }
    draw_cores(description, &mut out);
    out
}

fn size(topology: &Topology) -> String {
    let count = |key: fn(&Core) -> u32| {
        let mut keys: Vec<u32> = topology.cores.iter().filter(|c| c.online).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    let online = topology.online().len();
    let mut text = format!(
        "{} in {} on {}",
        online,
        plural(count(|core| core.physical), "physical core"),
        plural(count(|core| u32::from(core.package)), "socket"),
    );
    let nodes = count(|core| u32::from(core.node));
    if nodes > 1 {
        _ = write!(text, ", {nodes} NUMA nodes");
    }
    let offline = topology.cores.len() - online;
    if offline > 0 {
        _ = write!(text, "; {offline} more offline");
    }
    text
}

fn usable(description: &Description) -> String {
    let (allowed, online) = (description.limits.allowed, description.topology.online());
    if allowed.is_empty() {
        "none".to_owned()
    } else if allowed == online {
        format!("all: {}", spaced(&allowed))
    } else {
        format!("{} of {}: {}", allowed.len(), online.len(), spaced(&allowed))
    }
}

fn quota(description: &Description) -> String {
    let limits = &description.limits;
    match limits.quota {
        None => "none".to_owned(),
        Some(quota) if quota < limits.allowed.len() as f64 => format!(
            "time of {} CPUs, less than the {} usable: above it, all threads are throttled",
            trimmed(quota),
            limits.allowed.len()
        ),
        Some(1.0) => "time of 1 CPU".to_owned(),
        Some(quota) => format!("time of {} CPUs", trimmed(quota)),
    }
}

fn memory(report: &MachineReport) -> String {
    let memory = &report.memory;
    let limited = report.description.limits.memory.is_some_and(|limit| limit <= memory.total);
    format!(
        "{}{}, {} in use",
        Bytes(memory.total).rounded(),
        if limited { " (the container's limit)" } else { "" },
        Bytes(memory.used).rounded()
    )
}

/// Physical cores by socket and node, then by level 3 cache.
type Groups<'a> = BTreeMap<(u16, u16), BTreeMap<Option<u32>, BTreeMap<u32, Vec<&'a Core>>>>;

fn draw_cores(description: &Description, out: &mut String) {
    let allowed = &description.limits.allowed;
    let mut groups = Groups::new();
    for core in description.topology.cores.iter().filter(|core| core.online) {
        let place = groups.entry((core.package, core.node)).or_default();
        place.entry(core.l3).or_default().entry(core.physical).or_default().push(core);
    }
    let cells = groups.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values);
    let widest = cells.map(|core| cell(core, allowed).len()).max().unwrap_or(0) + 2;
    let fit = ((WIDTH - CELLS) / widest).max(1);
    // rows of 4, 8 or 12 are easy to count
    let in_row = if fit >= 4 { fit - fit % 4 } else { fit };
    for ((package, node), caches) in &groups {
        let logical: usize = caches.values().flat_map(BTreeMap::values).map(Vec::len).sum();
        let physical: usize = caches.values().map(BTreeMap::len).sum();
        _ = write!(out, "\nsocket {package}, node {node}: {}", plural(physical, "physical core"));
        if logical != physical {
            _ = write!(out, ", {logical} CPUs");
        }
        out.push('\n');
        for (cache, cores) in caches {
            let name = cache.map_or_else(|| "  cores".to_owned(), |cache| format!("  L3 {cache}"));
            let cells: Vec<String> = cores.values().map(|core| cell(core, allowed)).collect();
            for (at, row) in cells.chunks(in_row).enumerate() {
                let name = if at == 0 { name.as_str() } else { "" };
                let mut line = format!("{name:<CELLS$}");
                for cell in row {
                    _ = write!(line, "{cell:<widest$}");
                }
                _ = writeln!(out, "{}", line.trim_end());
            }
        }
    }
    let offline = description.topology.cores.iter().filter(|core| !core.online);
    let offline: CpuSet = offline.map(|core| core.id).collect();
    if !offline.is_empty() {
        _ = writeln!(out, "\noffline\n{:CELLS$}{offline}", "");
    }
    legend(description, out);
}

/// Returns the cell of a physical core: its kind and its logical CPUs, those not allowed in
/// parentheses.
fn cell(siblings: &[&Core], allowed: &CpuSet) -> String {
    let kind = match siblings.first().map(|core| core.kind) {
        Some(CoreKind::Performance) => "P",
        Some(CoreKind::Efficiency) => "E",
        Some(CoreKind::Uniform) | None => "",
    };
    let ids: Vec<String> = siblings
        .iter()
        .map(|core| {
            let id = core.id;
            if allowed.contains(id) { id.to_string() } else { format!("({id})") }
        })
        .collect();
    format!("{kind}{}", ids.join("+"))
}

/// Adds explanations of the signs that occur.
fn legend(description: &Description, out: &mut String) {
    let online: Vec<&Core> = description.topology.cores.iter().filter(|core| core.online).collect();
    let mut signs = Vec::new();
    if online.iter().any(|core| description.topology.siblings(core.id).len() > 1) {
        signs.push("a+b: SMT siblings of one physical core");
    }
    if online.iter().any(|core| core.kind != CoreKind::Uniform) {
        signs.push("P, E: performance, efficiency core");
    }
    if online.iter().any(|core| !description.limits.allowed.contains(core.id)) {
        signs.push("(n): not usable by this process");
    }
    if !signs.is_empty() {
        out.push('\n');
        for sign in signs {
            _ = writeln!(out, "{sign}");
        }
    }
}

/// Returns a CPU list with a space after each comma, so that it can be wrapped.
fn spaced(set: &CpuSet) -> String {
    set.to_string().replace(',', ", ")
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Formats a number with at most two decimals and no trailing zeros.
fn trimmed(value: f64) -> String {
    format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Breaks a text at spaces into lines of at most `width`; a longer word is not broken.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
