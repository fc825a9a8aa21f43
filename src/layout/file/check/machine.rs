//! Checks a layout against a machine. Requests that the machine cannot meet are faults; those that
//! it meets badly are warnings.

use super::reserves::{cores_to_place, excess_reserves, listed_cpus};
use super::{CheckedRow, Warning};
use crate::layout::MOST_THREADS_PER_CORE;
use crate::layout::arithmetic::requested_cores;
use crate::layout::budget::{Auto, Budget, CoreRequest};
use crate::layout::file::faults::Fault;
use crate::layout::gpu_check;
use crate::layout::model_name::{SHADOWED, SHADOWED_NAME};
use crate::layout::phrases::{counted, memory_above};
use crate::machine::{CpuSet, Description};

/// The advice of each fault that `--fit` resolves.
const FIT: &str = "or let `--fit` scale the layout to this machine";

struct Checker<'d> {
    text: &'d str,
    machine: &'d Description,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

/// Checks the rows of a text against a machine. Returns warnings in the order of the file.
///
/// # Errors
/// All faults.
pub(in super::super) fn check(
    text: &str,
    rows: &[CheckedRow<'_>],
    machine: &Description,
) -> Result<Vec<Warning>, Vec<Fault>> {
    let mut checker = Checker { text, machine, faults: Vec::new(), warnings: Vec::new() };
    for row in rows {
        checker.cores(*row);
        checker.threads(*row);
        checker.gpu(*row);
        if row.budget.is_process() {
            checker.process(*row);
        } else {
            checker.name(*row);
        }
    }
    checker.reserved_lists(rows);
    if checker.faults.is_empty() {
        checker.sums(rows);
        checker.memory(rows);
        checker.gpu_memory(rows);
    }
    if checker.faults.is_empty() {
        checker.warnings.sort_by_key(|Warning(fault)| (fault.line, fault.column));
        Ok(checker.warnings)
    } else {
        Err(checker.faults)
    }
}

impl Checker<'_> {
    fn fault(&mut self, row: CheckedRow<'_>, key: &str, message: String, help: String) {
        self.faults.push(Fault::at(self.text, row.spans.value(key), message).help(help));
    }

    fn warn(&mut self, row: CheckedRow<'_>, key: &str, message: String, help: &str) {
        let fault = Fault::at(self.text, row.spans.value(key), message).help(help);
        self.warnings.push(Warning(fault));
    }

    /// Warns of a name that clients cannot reach by every path.
    fn name(&mut self, row: CheckedRow<'_>) {
        if row.budget.name == SHADOWED_NAME {
            self.warn(
                row,
                "name",
                SHADOWED.to_owned(),
                "rename it if clients ask for its metadata",
            );
        }
    }

    /// Warns of values that have no effect on processes.
    fn process(&mut self, row: CheckedRow<'_>) {
        let budget = row.budget;
        if budget.reserve && requested_cores(&budget.cores, self.machine.limits.allowed.len()) == 0
        {
            let help = "add `cores`, or remove it";
            self.warn(row, "reserve", "`reserve` without cores reserves nothing".to_owned(), help);
        }
        let has_metrics = budget.source.process().is_some_and(|process| process.metrics.is_some());
        if budget.slo.is_some() && !has_metrics {
            let message = "no latency is known without `metrics`, so the target cannot be checked";
            let help = "add the URL of its Prometheus page, or remove `slo`";
            self.warn(row, "slo", message.to_owned(), help);
        }
    }

    /// Checks that the machine has the row's cores.
    fn cores(&mut self, row: CheckedRow<'_>) {
        let allowed = self.machine.limits.allowed;
        match &row.budget.cores {
            CoreRequest::List(list) => {
                let online = self.machine.topology.online();
                let missing = list.difference(&online);
                let forbidden = list.difference(&allowed).difference(&missing);
                if !missing.is_empty() {
                    let message =
                        format!("this machine has no CPU {missing}; it has {}", named(&online));
                    self.fault(row, "cores", message, format!("use CPUs of {allowed}, {FIT}"));
                }
                if !forbidden.is_empty() {
                    let message = format!(
                        "this process may not use CPU {forbidden}; it is allowed on {}",
                        named(&allowed)
                    );
                    self.fault(row, "cores", message, format!("use CPUs of {allowed}, {FIT}"));
                }
            }
            CoreRequest::Count(count) if *count > allowed.len() => {
                let message =
                    format!("{count} cores are more than the {} of this process", allowed.len());
                let help = format!("write 1 to {}, or a share like \"50%\", {FIT}", allowed.len());
                self.fault(row, "cores", message, help);
            }
            CoreRequest::Count(_) | CoreRequest::Share(_) => {}
        }
    }

    /// Checks that the row has a core for each of its threads.
    fn threads(&mut self, row: CheckedRow<'_>) {
        let budget = row.budget;
        let cores = requested_cores(&budget.cores, self.machine.limits.allowed.len());
        if self.excessive_threads(row, cores) {
            return;
        }
        let (Auto::Exactly(threads), true) = (budget.threads, cores > 0) else {
            return;
        };
        if threads > cores {
            let message = format!("{threads} threads per instance on {}", counted(cores, "core"));
            let help = "threads will wait for a core; use at most as many threads as cores";
            self.warn(row, "threads", message, help);
        } else if let Auto::Exactly(instances) = budget.concurrency
            && instances * threads > cores
        {
            let message = format!(
                "oversubscribed: {} of {} each on {}",
                counted(instances, "instance"),
                counted(threads, "thread"),
                counted(cores, "core")
            );
            let help =
                "write `concurrency = \"auto\"` to follow the cores, or give the model more cores";
            self.warn(row, "concurrency", message, help);
        }
    }

    /// Warns about far more threads than cores. Returns true if it did.
    fn excessive_threads(&mut self, row: CheckedRow<'_>, cores: usize) -> bool {
        let exactly = |value| match value {
            Auto::Exactly(number) => number,
            Auto::Auto => 1,
        };
        let [threads, instances] = [row.budget.threads, row.budget.concurrency].map(exactly);
        let all = threads.saturating_mul(instances);
        if cores == 0 || all <= MOST_THREADS_PER_CORE * cores {
            return false;
        }
        let message = format!(
            "{} of {} on {}: {} threads per core",
            counted(instances, "instance"),
            counted(threads, "thread"),
            counted(cores, "core"),
            all / cores
        );
        let key = if threads > cores { "threads" } else { "concurrency" };
        let help = "they will mostly wait for a core, and each takes memory; write \"auto\" to follow \
                    the cores";
        self.warn(row, key, message, help);
        true
    }

    /// Checks that no other list has a core that a list reserves.
    fn reserved_lists(&mut self, rows: &[CheckedRow<'_>]) {
        for (index, CheckedRow { budget: own, spans }) in rows.iter().enumerate() {
            let CoreRequest::List(list) = &own.cores else {
                continue;
            };
            for CheckedRow { budget: other, spans: other_spans } in rows.iter().skip(index + 1) {
                let CoreRequest::List(theirs) = &other.cores else {
                    continue;
                };
                let both = list.intersection(theirs);
                if both.is_empty() || !(own.reserve || other.reserve) {
                    continue;
                }
                let (holder, wanter) =
                    if own.reserve { (&own.name, &other.name) } else { (&other.name, &own.name) };
                let message = if own.reserve && other.reserve {
                    format!("`{}` and `{}` both reserve CPU {both}", own.name, other.name)
                } else {
                    format!("`{wanter}` lists CPU {both}, which `{holder}` reserves")
                };
                self.faults.push(
                    Fault::at(self.text, other_spans.value("cores"), message)
                        .also(spans.value("cores"), "the other model's cores")
                        .help("use different CPUs, or remove `reserve` to share them"),
                );
            }
        }
    }

    /// Checks that all memory budgets fit the machine together.
    fn memory(&mut self, rows: &[CheckedRow<'_>]) {
        let limits = &self.machine.limits;
        let sizes = rows.iter().filter_map(|row| row.budget.memory);
        let sum = sizes.fold(0_u64, |sum, bytes| sum.saturating_add(bytes.0));
        let last = rows.iter().rev().find(|row| row.budget.memory.is_some());
        if let (Some(limit), Some(row)) = (limits.usable_memory(), last)
            && sum > limit
        {
            let message = memory_above(sum, limit, limits);
            self.warn(
                *row,
                "memory",
                message,
                "lower a budget, or the system may run out of memory",
            );
        }
    }

    /// Checks that the machine has the row's GPU. If the machine's GPUs are not known, this is only a
    /// warning, since the other models can run.
    fn gpu(&mut self, row: CheckedRow<'_>) {
        let budget = row.budget;
        let known = &self.machine.gpus;
        if let Err(fault) = gpu_check::check_on_machine(budget, known) {
            let help = match fault.key {
                "gpu" => "use a GPU that `divvy machine` lists, or remove `gpu` to run on the CPU",
                _ => "lower the limit, or use a GPU with more memory",
            };
            self.fault(row, fault.key, fault.reason, help.to_owned());
        } else if let (Some(id), true, Some(note)) =
            (&budget.gpu, known.devices.is_empty(), &known.note)
        {
            let message = format!("no information about GPU {id}: {note}");
            let help = "if the engine does not find it either, this model fails and the others run";
            self.warn(row, "gpu", message, help);
        }
    }

    /// Checks that the memory limits on each GPU fit it together.
    fn gpu_memory(&mut self, rows: &[CheckedRow<'_>]) {
        let budgets = rows.iter().map(|row| row.budget);
        for exceeded in gpu_check::exceeded_limits(budgets, &self.machine.gpus).into_values() {
            if let Some(row) = rows.get(exceeded.last) {
                let help = "lower a limit, or a model may run out of GPU memory";
                self.warn(*row, "gpu_memory", exceeded.message, help);
            }
        }
    }

    /// Checks that all rows together ask for no more cores than this process has.
    fn sums(&mut self, rows: &[CheckedRow<'_>]) {
        let allowed = self.machine.limits.allowed.len();
        let budgets: Vec<&Budget> = rows.iter().map(|row| row.budget).collect();
        if let Some(excess) = excess_reserves(&budgets, allowed) {
            if let Some(row) = rows.get(excess.row) {
                self.fault(*row, excess.key, excess.message, format!("reserve fewer cores, {FIT}"));
            }
            return;
        }
        let shares: f64 = rows
            .iter()
            .filter_map(|row| match row.budget.cores {
                CoreRequest::Share(share) => Some(share),
                _ => None,
            })
            .sum();
        let requested = listed_cpus(&budgets).len() + cores_to_place(&budgets, allowed);
        let is_list = |row: &&CheckedRow<'_>| matches!(row.budget.cores, CoreRequest::List(_));
        let Some(last) = rows.iter().rev().find(|row| !is_list(row)) else { return };
        // a weight shows that cores are shared on purpose
        if rows.iter().any(|row| row.budget.weight != 1) {
            return;
        }
        if shares > 100.0 + 1e-9 {
            let message = format!("the shares of all models add up to {}%", trimmed(shares));
            let help = "some models will share cores; lower a share to keep them apart";
            self.warn(*last, "cores", message, help);
        } else if requested > allowed {
            let message = format!(
                "the models ask for {}, but this process has {allowed}",
                counted(requested, "core")
            );
            let help = "some models will share cores; ask for fewer to keep them apart";
            self.warn(*last, "cores", message, help);
        }
    }
}

/// "0-3", or "none".
fn named(set: &CpuSet) -> String {
    if set.is_empty() { "none".to_owned() } else { set.to_string() }
}

/// A percentage with at most one decimal.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
