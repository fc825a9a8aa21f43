//! Texts about the processes of a row, and about those that belong to no row.

use crate::console::format;
use crate::layout::short_name;
use crate::telemetry::{ModelView, OtherProcesses, ProcessState, ProcessView};

/// The share of the CPU time of all others from which on one program is named as most of it.
const MOST: f64 = 0.5;

/// CPU time in cores below which no program is named.
const IDLE: f64 = 0.05;

/// Returns why a row's processes do not run; `None` if they do.
pub(super) fn stopped(process: &ProcessView) -> Option<String> {
    match &process.state {
        ProcessState::Running => None,
        ProcessState::Absent => Some(format!("absent: waits for {}", process.selector)),
        ProcessState::Restarting { ended, wait_ms } => {
            Some(format!("restarts in {} s: it ended with {ended}", wait_ms.div_ceil(1000)))
        }
        ProcessState::Ended { ended } => Some(format!("ended with {ended}")),
        ProcessState::Failed { reason } => Some(format!("failed: {reason}")),
    }
}

/// Returns true if the processes do not run because of a fault.
pub(super) fn is_fault(state: &ProcessState) -> bool {
    matches!(state, ProcessState::Restarting { .. } | ProcessState::Failed { .. })
}

/// Returns the numbers of processes and threads, the longest form first: "3p 64t".
pub(super) fn counts(process: &ProcessView) -> [String; 3] {
    let (processes, threads) = (process.process_count, process.thread_count);
    [format!("{processes}p {threads}t"), format!("{processes}p{threads}t"), format!("{threads}t")]
}

/// Returns the numbers in words: "3 processes, 64 threads".
pub(super) fn counted(process: &ProcessView) -> String {
    let noun = if process.process_count == 1 { "process" } else { "processes" };
    let threads = format::counted(process.thread_count, "thread");
    format!("{} {noun}, {threads}", process.process_count)
}

/// Returns what is known of a row's latency, in place of its histogram, which needs each request.
pub(super) fn latency_note(view: &ModelView, process: &ProcessView) -> String {
    let name = short_name(&view.row.budget.name);
    let Some(requests) = &process.requests else {
        return format!(
            "divvy does not see the requests of {name}. If it has a page for Prometheus, set \
             `metrics` in its row to the URL of that page."
        );
    };
    if let Some(fault) = &requests.fault {
        return format!("The metrics of {name} are missing: {fault}");
    }
    let latency = |what: &str, us: Option<f64>| {
        us.map(|us| format!(", {what} {}", format::latency(us.max(0.0) as u64)))
    };
    let figures = [
        latency("mean", requests.mean_us),
        latency("p50", requests.p50_us),
        latency("p99", requests.p99_us),
    ];
    let rate = requests.per_s.map_or_else(|| "?".to_owned(), format::rate);
    let resolution = match requests.resolution.as_str() {
        "" => String::new(),
        text => format!(", {text}"),
    };
    format!(
        "{name} reports {rate} requests per second{} ({}{resolution}).",
        figures.into_iter().flatten().collect::<String>(),
        requests.source
    )
}

/// Returns the use of the processes that belong to no row: "0.7 cores, mostly dockerd".
pub(super) fn others(others: &OtherProcesses) -> String {
    let mut programs: Vec<(&str, f64)> = Vec::new();
    for other in &others.busiest {
        match programs.iter_mut().find(|(exe, _)| *exe == other.exe) {
            Some((_, cpu)) => *cpu += other.process.cpu,
            None => programs.push((&other.exe, other.process.cpu)),
        }
    }
    programs.retain(|(_, cpu)| *cpu >= IDLE);
    programs.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let head = format!("{:.1} cores", others.cpu);
    match programs.as_slice() {
        [(exe, cpu), ..] if *cpu >= others.cpu * MOST => format!("{head}, mostly {exe}"),
        [(first, _), (second, _), ..] => format!("{head}, busiest {first} and {second}"),
        [(exe, _)] => format!("{head}, busiest {exe}"),
        [] => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{OtherProcess, ProcessEntry};

    fn of(cpu: f64, busiest: &[(&str, f64)]) -> String {
        let entry = |(exe, cpu): &(&str, f64)| OtherProcess {
            exe: (*exe).to_owned(),
            process: ProcessEntry { cpu: *cpu, ..ProcessEntry::default() },
            ..OtherProcess::default()
        };
        others(&OtherProcesses { cpu, busiest: busiest.iter().map(entry).collect() })
    }

    #[test]
    fn others_name_the_busiest_program() {
        assert_eq!(
            of(0.7, &[("dockerd", 0.3), ("a", 0.1), ("dockerd", 0.2)]),
            "0.7 cores, mostly dockerd"
        );
        assert_eq!(of(1.0, &[("a", 0.3), ("b", 0.2)]), "1.0 cores, busiest a and b");
        assert_eq!(of(1.0, &[("a", 0.3)]), "1.0 cores, busiest a");
        assert_eq!(of(0.01, &[("a", 0.01)]), "0.0 cores");
    }
}
