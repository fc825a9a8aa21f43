//! A layout held against a machine: what it lacks is a fault, what will hurt is a warning.

use annotate_snippets::Level;
use serde::Serialize;

use super::faults::{self, Fault, Faults};
use super::{Document, RowSpans};
use crate::layout::arithmetic::memory_above;
use crate::layout::budget::{Auto, Budget, CoreRequest};
use crate::layout::gpus;
use crate::machine::{CpuSet, Description};

/// Something in a layout that works on this machine, but not as well as its author may think.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Warning(pub Fault);

/// How many cores a request comes to on a machine with `allowed` of them.
pub(super) fn demand(cores: &CoreRequest, allowed: usize) -> usize {
    match cores {
        CoreRequest::List(list) => list.len(),
        CoreRequest::Count(count) => *count,
        CoreRequest::Share(share) => {
            ((share / 100.0 * allowed as f64).round() as usize).clamp(1, allowed.max(1))
        }
    }
}

/// What `--fit` offers, in each message that it would resolve.
const FIT: &str = "or let `--fit` scale the layout to this machine";

struct Checker<'d> {
    text: &'d str,
    machine: &'d Description,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

impl Document {
    /// Holds the layout against a machine.
    ///
    /// # Errors
    /// All faults at once: CPUs that the machine lacks or this process may not use, counts above
    /// what it has, reserved cores that two models want or that leave none to the others.
    pub fn check(&self, machine: &Description) -> Result<Vec<Warning>, Faults> {
        let mut checker =
            Checker { text: &self.text, machine, faults: Vec::new(), warnings: Vec::new() };
        let rows: Vec<(&Budget, &RowSpans)> = self.layout.models.iter().zip(&self.spans).collect();
        for (budget, spans) in &rows {
            checker.there(budget, spans);
            checker.width(budget, spans);
            checker.gpu(budget, spans);
        }
        checker.reserved(&rows);
        if checker.faults.is_empty() {
            checker.sums(&rows);
            checker.memory(&rows);
            checker.gpu_memory(&rows);
        }
        if checker.faults.is_empty() {
            checker.warnings.sort_by_key(|Warning(fault)| (fault.line, fault.column));
            Ok(checker.warnings)
        } else {
            Err(Faults::new(self.origin.name(), Some(&self.text), checker.faults))
        }
    }

    /// Warnings as a report with the lines that they are about. With `color`, in ANSI colours.
    pub fn render_warnings(&self, warnings: &[Warning], color: bool) -> String {
        let warnings: Vec<Fault> = warnings.iter().map(|Warning(fault)| fault.clone()).collect();
        let name = self.origin.name();
        faults::render(&Level::WARNING, &name, Some(&self.text), &warnings, color)
    }
}

impl Checker<'_> {
    fn fault(&mut self, spans: &RowSpans, key: &str, message: String, help: String) {
        self.faults.push(Fault::at(self.text, spans.value(key), message).help(help));
    }

    fn warn(&mut self, spans: &RowSpans, key: &str, message: String, help: &str) {
        let fault = Fault::at(self.text, spans.value(key), message).help(help);
        self.warnings.push(Warning(fault));
    }

    /// Whether the row's cores are there.
    fn there(&mut self, budget: &Budget, spans: &RowSpans) {
        let allowed = self.machine.limits.allowed;
        match &budget.cores {
            CoreRequest::List(list) => {
                let online = self.machine.topology.online();
                let missing = list.difference(&online);
                let closed = list.difference(&allowed).difference(&missing);
                if !missing.is_empty() {
                    let message =
                        format!("this machine has no CPU {missing}; it has {}", named(&online));
                    self.fault(spans, "cores", message, format!("use CPUs of {allowed}, {FIT}"));
                }
                if !closed.is_empty() {
                    let message = format!(
                        "this process may not use CPU {closed}; it is allowed on {}",
                        named(&allowed)
                    );
                    self.fault(spans, "cores", message, format!("use CPUs of {allowed}, {FIT}"));
                }
            }
            CoreRequest::Count(count) if *count > allowed.len() => {
                let message =
                    format!("{count} cores are more than this process has, {}", allowed.len());
                let help = format!("write 1 to {}, or a share like \"50%\", {FIT}", allowed.len());
                self.fault(spans, "cores", message, help);
            }
            CoreRequest::Count(_) | CoreRequest::Share(_) => {}
        }
    }

    /// Whether the row's threads find a core each.
    fn width(&mut self, budget: &Budget, spans: &RowSpans) {
        let cores = demand(&budget.cores, self.machine.limits.allowed.len());
        let (Auto::Exactly(threads), true) = (budget.threads, cores > 0) else {
            return;
        };
        if threads > cores {
            let message = format!("{threads} threads an instance on {}", plural(cores, "core"));
            let help = "they will wait for each other; use as many threads as cores, or fewer";
            self.warn(spans, "threads", message, help);
        } else if let Auto::Exactly(instances) = budget.concurrency
            && instances * threads > cores
        {
            let message = format!(
                "{} of {} on {} are oversubscribed",
                plural(instances, "instance"),
                plural(threads, "thread"),
                plural(cores, "core")
            );
            let help = "let `concurrency = \"auto\"` follow the cores, or give the model more";
            self.warn(spans, "concurrency", message, help);
        }
    }

    /// Whether somebody else wants a core that one row has reserved.
    fn reserved(&mut self, rows: &[(&Budget, &RowSpans)]) {
        for (index, (own, spans)) in rows.iter().enumerate() {
            let CoreRequest::List(list) = &own.cores else {
                continue;
            };
            for (other, other_spans) in rows.iter().skip(index + 1) {
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
                        .help("give them different CPUs, or take `reserve` away to share"),
                );
            }
        }
    }

    /// Whether the memory budgets of all rows fit the machine together.
    fn memory(&mut self, rows: &[(&Budget, &RowSpans)]) {
        let limits = &self.machine.limits;
        let sizes = rows.iter().filter_map(|(row, _)| row.memory);
        let sum = sizes.fold(0_u64, |sum, bytes| sum.saturating_add(bytes.0));
        let last = rows.iter().rev().find(|(row, _)| row.memory.is_some());
        if let (Some(limit), Some((_, spans))) = (limits.usable_memory(), last)
            && sum > limit
        {
            let message = memory_above(sum, limit, limits);
            self.warn(spans, "memory", message, "lower a budget, or the system may run out");
        }
    }

    /// Whether the row's GPU is there. Where no card is known, the others need not wait for it.
    fn gpu(&mut self, budget: &Budget, spans: &RowSpans) {
        let known = &self.machine.gpus;
        if let Err(fault) = gpus::meets(budget, known) {
            let help = match fault.key {
                "gpu" => "name one that is there (`divvy machine` lists them), or take `gpu` away",
                _ => "write a smaller limit, or name a larger card",
            };
            self.fault(spans, fault.key, fault.reason, help.to_owned());
        } else if let (Some(id), true, Some(note)) =
            (&budget.gpu, known.cards.is_empty(), &known.note)
        {
            let message = format!("GPU {id} is not known here: {note}");
            let help = "if the engine finds none either, this model fails and the others run";
            self.warn(spans, "gpu", message, help);
        }
    }

    /// Whether the limits of all rows on a GPU fit it together.
    fn gpu_memory(&mut self, rows: &[(&Budget, &RowSpans)]) {
        let above = gpus::above(rows.iter().map(|(row, _)| *row), &self.machine.gpus);
        for above in above.into_values() {
            if let Some((_, spans)) = rows.get(above.last) {
                let help = "lower a limit, or a model may find none left";
                self.warn(spans, "gpu_memory", above.words, help);
            }
        }
    }

    /// Whether all rows together ask for more than there is.
    fn sums(&mut self, rows: &[(&Budget, &RowSpans)]) {
        let allowed = self.machine.limits.allowed.len();
        let budgets: Vec<&Budget> = rows.iter().map(|(row, _)| *row).collect();
        if let Some(over) = overcommitted(&budgets, allowed) {
            if let Some((_, spans)) = rows.get(over.blamed) {
                self.fault(spans, over.key, over.message, format!("reserve fewer, {FIT}"));
            }
            return;
        }
        let shares: f64 = rows
            .iter()
            .filter_map(|(row, _)| match row.cores {
                CoreRequest::Share(share) => Some(share),
                _ => None,
            })
            .sum();
        let listed = listed(&budgets).len();
        let placed = placed(&budgets, allowed);
        let last = rows.iter().rev().find(|(row, _)| !matches!(row.cores, CoreRequest::List(_)));
        let Some((_, spans)) = last else {
            return;
        };
        if shares > 100.0 + 1e-9 {
            let message = format!("the shares of all models add up to {}%", trimmed(shares));
            self.warn(
                spans,
                "cores",
                message,
                "models will overlap; lower a share to keep them apart",
            );
        } else if listed + placed > allowed {
            let message = format!(
                "the models ask for {} and this process has {allowed}",
                plural(listed + placed, "core")
            );
            self.warn(
                spans,
                "cores",
                message,
                "some will share cores; ask for fewer to keep them apart",
            );
        }
    }
}

/// Reservations that cannot all stand.
pub(super) struct Overcommitted {
    /// The row to point at.
    blamed: usize,
    /// The key of it to point at.
    key: &'static str,
    /// The row that `--fit` makes give up its reservation.
    pub(super) giver: usize,
    message: String,
}

/// All CPUs that some row lists.
fn listed(rows: &[&Budget]) -> CpuSet {
    rows.iter().fold(CpuSet::EMPTY, |all, row| match &row.cores {
        CoreRequest::List(list) => all.union(list),
        _ => all,
    })
}

/// Cores that the rows without a list ask for.
fn placed(rows: &[&Budget], allowed: usize) -> usize {
    let rows = rows.iter().filter(|row| !matches!(row.cores, CoreRequest::List(_)));
    rows.map(|row| demand(&row.cores, allowed)).sum()
}

/// Whether the reserved cores of all rows fit beside each other and leave one to the others.
/// Lists that overlap are another fault.
pub(super) fn overcommitted(rows: &[&Budget], allowed: usize) -> Option<Overcommitted> {
    let reserved: Vec<&Budget> = rows.iter().copied().filter(|row| row.reserve).collect();
    let to_place = placed(&reserved, allowed);
    let total = to_place + listed(&reserved).len();
    let last = |wanted: &dyn Fn(&Budget) -> bool| rows.iter().rposition(|row| wanted(row));
    let holds = |row: &Budget| row.reserve && demand(&row.cores, allowed) > 0;
    let counted = |row: &Budget| holds(row) && !matches!(row.cores, CoreRequest::List(_));
    if total > allowed {
        let giver = last(&holds)?;
        let message = format!(
            "{} are reserved in all, but this process has {allowed}",
            plural(total, "core")
        );
        return Some(Overcommitted { blamed: giver, key: "reserve", giver, message });
    }
    let beside = allowed.saturating_sub(listed(rows).len());
    if to_place > beside {
        let giver = last(&counted)?;
        let message = format!(
            "{} are to be reserved beside the listed CPUs, which leave {beside}",
            plural(to_place, "core")
        );
        return Some(Overcommitted { blamed: giver, key: "reserve", giver, message });
    }
    let starved = |row: &Budget| !row.reserve && demand(&row.cores, allowed) > 0;
    if total == allowed
        && let (Some(blamed), Some(giver)) =
            (rows.iter().position(|row| starved(row)), last(&holds))
    {
        let name = rows.get(blamed).map_or("", |row| row.name.as_str());
        let message =
            format!("all {allowed} cores are reserved by others; none is left for `{name}`");
        return Some(Overcommitted { blamed, key: "cores", giver, message });
    }
    None
}

/// A set as a sentence names it.
fn named(set: &CpuSet) -> String {
    if set.is_empty() { "none".to_owned() } else { set.to_string() }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A percentage with at most one digit after the point.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::*;
    use crate::machine::{Gpu, Gpus};

    fn document(rows: &[&str]) -> Document {
        use std::fmt::Write as _;
        let mut text = "version = 1\n".to_owned();
        for (index, row) in rows.iter().enumerate() {
            write!(
                text,
                "[[model]]\nname = \"m{index}\"\npath = \"embedded:ranker.onnx\"\n{row}\n"
            )
            .unwrap();
        }
        Document::parse(&text, &Origin::Embedded("test".into())).unwrap()
    }

    fn faults(rows: &[&str], machine: &Description) -> Vec<String> {
        let faults = document(rows).check(machine).unwrap_err();
        faults.faults().iter().map(|fault| fault.message.clone()).collect()
    }

    fn warnings(rows: &[&str], cores: usize) -> Vec<String> {
        let warnings = document(rows).check(&Description::uniform(cores)).unwrap();
        warnings.into_iter().map(|Warning(fault)| fault.message).collect()
    }

    #[test]
    fn memory_budgets_above_the_machine_are_warned_about() {
        let machine = |memory, installed| {
            let mut machine = Description::uniform(4);
            machine.limits.memory = memory;
            machine.limits.installed = installed;
            machine
        };
        let rows = document(&["memory = \"3GiB\"", "", "memory = \"2GiB\""]);
        let told = |machine: &Description| {
            let warnings = rows.check(machine).unwrap();
            warnings.into_iter().map(|Warning(fault)| fault.message).collect::<Vec<_>>()
        };
        let container = machine(Some(4 << 30), Some(64 << 30));
        let words = "the memory budgets add up to 5GiB, and the container may use 4.0 GiB";
        assert_eq!(told(&container), [words]);
        let small = machine(Some(64 << 30), Some(4 << 30));
        assert_eq!(told(&small), [words.replace("the container may use", "this machine has")]);
        for enough in
            [machine(Some(5 << 30), None), machine(None, Some(8 << 30)), machine(None, None)]
        {
            assert!(told(&enough).is_empty());
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_or_too_small_is_a_fault_where_the_cards_are_known() {
        let mut machine = Description::uniform(4);
        let absent = "gpu = 9";
        assert!(document(&[absent]).check(&machine).unwrap().is_empty(), "nobody looked");
        machine.gpus.note = Some("no NVIDIA GPU".to_owned());
        let warnings = document(&[absent]).check(&machine).unwrap();
        assert_eq!(warnings[0].0.message, "GPU 9 is not known here: no NVIDIA GPU");
        assert_eq!((warnings[0].0.line, warnings[0].0.column), (Some(5), Some(7)));
        let card = Gpu { name: "L4".into(), memory: Some(24 << 30), ..Gpu::default() };
        machine.gpus = Gpus { cards: vec![card], note: None };
        assert_eq!(
            faults(&[absent, "gpu = 0\ngpu_memory = \"25GiB\""], &machine),
            [
                "there is no GPU 9: this machine has 0 (L4, )",
                "a limit of 25GiB is above what GPU 0 has, 24.0 GiB"
            ]
        );
        let half = "gpu = 0\ngpu_memory = \"16GiB\"";
        let warnings = document(&[half, half, ""]).check(&machine).unwrap();
        let words = "the memory limits on GPU 0 add up to 32GiB, and it has 24.0 GiB";
        assert_eq!(warnings[0].0.message, words);
        assert_eq!(warnings[0].0.line, Some(11), "the last one that adds to it");
    }

    #[test]
    fn missing_cores_are_named_with_what_is_there() {
        let machine = Description::uniform(4);
        assert_eq!(
            faults(&["cores = \"2-7\"", "cores = 5"], &machine),
            [
                "this machine has no CPU 4-7; it has 0-3",
                "5 cores are more than this process has, 4"
            ]
        );
        let mut caged = Description::uniform(4);
        caged.limits.allowed = "0-1".parse().unwrap();
        assert_eq!(
            faults(&["cores = \"1-2\""], &caged),
            ["this process may not use CPU 2; it is allowed on 0-1"]
        );
    }

    #[test]
    fn reserved_cores_belong_to_one() {
        let machine = Description::uniform(8);
        let reserved = "cores = \"0-3\"\nreserve = true";
        assert_eq!(
            faults(&[reserved, "cores = \"3-4\"\nreserve = true"], &machine),
            ["`m0` and `m1` both reserve CPU 3"]
        );
        assert_eq!(
            faults(&["cores = \"2-5\"", reserved], &machine),
            ["`m0` lists CPU 2-3, which `m1` reserves"]
        );
        assert_eq!(warnings(&["cores = \"0-3\"", "cores = \"2-5\""], 8), Vec::<String>::new());
        let five = "cores = 5\nreserve = true";
        assert_eq!(
            faults(&[five, five], &machine),
            ["10 cores are reserved in all, but this process has 8"]
        );
        assert_eq!(
            faults(&["cores = \"100%\"\nreserve = true", ""], &machine),
            ["all 8 cores are reserved by others; none is left for `m1`"]
        );
        assert_eq!(
            faults(&["cores = \"0-5\"", "cores = 3\nreserve = true"], &machine),
            ["3 cores are to be reserved beside the listed CPUs, which leave 2"]
        );
    }

    #[test]
    fn crowding_is_warned_of() {
        assert_eq!(warnings(&["cores = 2\nthreads = 4"], 4), ["4 threads an instance on 2 cores"]);
        assert_eq!(
            warnings(&["cores = 2\nthreads = 2\nconcurrency = 3"], 4),
            ["3 instances of 2 threads on 2 cores are oversubscribed"]
        );
        assert_eq!(
            warnings(&["cores = \"75%\"", "cores = \"50.5%\""], 4),
            ["the shares of all models add up to 125.5%"]
        );
        assert_eq!(
            warnings(&["cores = 3", "cores = 2"], 4),
            ["the models ask for 5 cores and this process has 4"]
        );
        assert_eq!(warnings(&["cores = 2", "cores = \"50%\""], 4), Vec::<String>::new());
    }
}
