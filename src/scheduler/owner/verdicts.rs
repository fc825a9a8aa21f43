//! Verdicts: a window before and one after each change, compared when the second one is full.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::models::LiveModels;
use super::window_capture::{
    CaptureJob, CapturedWindow, WindowCapture, WindowSide, metric_count, sample_kind,
};
use crate::layout::{Budget, DesiredState, Slo};
use crate::scheduler::messages::{EntryVerdict, OwnerMessage};
use crate::scheduler::options::VerdictWindows;
use crate::scheduler::slot::{Rename, Slots};
use crate::scheduler::workload::Workload;
use crate::telemetry::{SampleKind, Verdict, VerdictStatus};

/// A window that waits for a build starts at the latest after this time.
const LONGEST_BUILD: Duration = Duration::from_hours(24);

/// The open verdicts.
pub(super) struct Verdicts {
    windows: VerdictWindows,
    owner: Sender<OwnerMessage>,
    capture: WindowCapture,
    open: Vec<OpenVerdict>,
    /// Time of the last change that touched each model.
    touched: BTreeMap<String, Instant>,
    /// Threads that compute verdicts.
    working: Vec<JoinHandle<()>>,
}

/// A verdict whose window after the change is not full yet.
struct OpenVerdict {
    entry: u64,
    /// The model's name in the entry.
    name_in_entry: String,
    /// The model's present name.
    model: String,
    before: CapturedWindow,
    counted: SampleKind,
    slo: Option<Slo>,
    /// Metrics that the change's verdicts compare in all: their error rates share one bound.
    metrics: usize,
    /// Start of the window after the change.
    from: Instant,
}

impl Verdicts {
    /// No open verdicts.
    ///
    /// # Errors
    /// The system's error if a thread cannot be started.
    pub(super) fn new(windows: VerdictWindows, owner: Sender<OwnerMessage>) -> io::Result<Self> {
        Ok(Self {
            windows,
            owner,
            capture: WindowCapture::start()?,
            open: Vec::new(),
            touched: BTreeMap::new(),
            working: Vec::new(),
        })
    }

    /// Keeps the open verdicts of renamed models open under their new names.
    pub(super) fn rename(&mut self, renames: &[Rename]) {
        for open in &mut self.open {
            if let Some(rename) = renames.iter().find(|rename| rename.from == open.model) {
                open.model.clone_from(&rename.to);
            }
        }
        let taken: Vec<_> = renames
            .iter()
            .filter_map(|rename| Some((rename.to.clone(), self.touched.remove(&rename.from)?)))
            .collect();
        self.touched.extend(taken);
    }

    /// Forgets the changes of removed models.
    pub(super) fn forget_removed(&mut self, desired: &DesiredState) {
        if self.touched.len() > desired.rows.len() {
            self.touched.retain(|name, _| desired.row(name).is_some());
        }
    }

    /// Closes the open verdicts of models that a change touches: those with a long enough window are
    /// computed in the background. Returns the others.
    pub(super) fn close_cut_short(
        &mut self,
        models: &[String],
        slots: &Slots,
        now: Instant,
    ) -> Vec<EntryVerdict> {
        let (cut, rest) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &OpenVerdict| models.contains(&open.model));
        self.open = rest;
        let short = self.close(cut, VerdictStatus::Superseded, slots, now);
        short.collect()
    }

    /// Opens the verdicts of the models that a change touched, and returns them for its entry.
    pub(super) fn open(
        &mut self,
        entry: u64,
        touched: &[String],
        models: &LiveModels,
        now: Instant,
    ) -> Vec<Verdict> {
        let rows: Vec<_> = touched.iter().filter_map(|name| models.desired.row(name)).collect();
        let kind = |name: &str| {
            let slot = models.slots.get(name);
            slot.map_or_else(SampleKind::default, |slot| sample_kind(&*slot.workload))
        };
        let count = |budget: &Budget| metric_count(kind(&budget.name), budget.slo.as_ref());
        let metrics = rows.iter().map(|row| count(&row.budget)).sum();
        let mut verdicts = Vec::new();
        for row in rows {
            let name = &row.budget.name;
            let earliest = now.checked_sub(self.windows.length).unwrap_or(now);
            let since =
                self.touched.insert(name.clone(), now).map(|touched| touched + self.windows.settle);
            let before = CapturedWindow::default();
            if let Some(slot) = models.slots.get(name) {
                self.capture.order(CaptureJob {
                    workload: slot.workload.clone(),
                    from: since.unwrap_or(earliest).max(earliest),
                    to: now,
                    shortest: self.windows.shortest,
                    window: before.clone(),
                });
            }
            let open = OpenVerdict {
                entry,
                name_in_entry: name.clone(),
                model: name.clone(),
                before,
                counted: kind(name),
                slo: row.budget.slo,
                metrics,
                from: now + self.windows.settle,
            };
            verdicts.push(open.verdict(VerdictStatus::Open));
            self.open.push(open);
        }
        verdicts
    }

    /// Keeps the windows after a change from starting: its instances are still being built.
    pub(super) fn hold(&mut self, entry: u64, now: Instant) {
        self.set_start(entry, now + LONGEST_BUILD);
    }

    /// Starts the windows after a change, since its instances serve now.
    pub(super) fn start(&mut self, entry: u64, now: Instant) {
        self.set_start(entry, now + self.windows.settle);
    }

    fn set_start(&mut self, entry: u64, from: Instant) {
        for open in self.open.iter_mut().filter(|open| open.entry == entry) {
            open.from = from;
        }
    }

    /// Returns when the first open verdict's window is full; `None` if no verdict is open.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.from + self.windows.length).min()
    }

    /// Closes the verdicts whose window after the change is full. The owner gets them as a message.
    pub(super) fn close_due(&mut self, slots: &Slots, now: Instant) {
        let length = self.windows.length;
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &OpenVerdict| now >= open.from + length);
        self.open = rest;
        self.compute(due, slots, now);
    }

    /// Closes all verdicts at the end of a run. On return, the owner has a message for each, also for
    /// those that were being computed before.
    pub(super) fn close_all(&mut self, slots: &Slots, now: Instant) {
        let open = std::mem::take(&mut self.open);
        let short = self.close(open, VerdictStatus::NotEnough, slots, now).collect();
        // The owner calls this, so its receiver exists.
        let _ = self.owner.send(OwnerMessage::Verdicts(short));
        for thread in self.working.drain(..) {
            // The panic hook has logged a panic of it.
            let _ = thread.join();
        }
    }

    /// Computes the verdicts with a long enough window; returns the others, with this status.
    fn close(
        &mut self,
        closed: Vec<OpenVerdict>,
        status: VerdictStatus,
        slots: &Slots,
        now: Instant,
    ) -> impl Iterator<Item = EntryVerdict> + use<> {
        let shortest = self.windows.shortest;
        let (long, short): (Vec<_>, Vec<_>) = closed
            .into_iter()
            .partition(|open| now.saturating_duration_since(open.from) >= shortest);
        self.compute(long, slots, now);
        short
            .into_iter()
            .map(move |open| EntryVerdict { entry: open.entry, verdict: open.verdict(status) })
    }

    /// Computes verdicts on a background thread: that takes milliseconds, which must not delay a
    /// change.
    fn compute(&mut self, due: Vec<OpenVerdict>, slots: &Slots, now: Instant) {
        if due.is_empty() {
            return;
        }
        let with_workload = |open: OpenVerdict| {
            let workload = slots.get(&open.model).map(|slot| slot.workload.clone());
            (open, workload)
        };
        let due: Vec<_> = due.into_iter().map(with_workload).collect();
        let owner = self.owner.clone();
        let body = move || {
            let compute = |(open, workload): &(OpenVerdict, Option<Arc<dyn Workload>>)| {
                let verdict = open.compute(workload.as_deref(), now);
                EntryVerdict { entry: open.entry, verdict }
            };
            // An owner that has ended needs no verdict.
            let _ = owner.send(OwnerMessage::Verdicts(due.iter().map(compute).collect()));
        };
        self.working.retain(|thread| !thread.is_finished());
        match std::thread::Builder::new().name("divvy-verdict".to_owned()).spawn(body) {
            Ok(thread) => self.working.push(thread),
            Err(error) => tracing::error!("no verdict on a change: cannot start a thread: {error}"),
        }
    }
}

impl OpenVerdict {
    /// The verdict without comparisons.
    fn verdict(&self, status: VerdictStatus) -> Verdict {
        Verdict {
            model: self.name_in_entry.clone(),
            status,
            samples_before: self.before.get().map_or(0, WindowSide::samples),
            samples_after: 0,
            counted: self.counted,
            comparisons: Vec::new(),
        }
    }

    /// Compares the windows before and after the change. `workload` is `None` if the row was removed.
    fn compute(&self, workload: Option<&dyn Workload>, now: Instant) -> Verdict {
        let after = workload.and_then(|workload| WindowSide::of(workload, self.from, now));
        let Some(after) = after else { return self.verdict(VerdictStatus::Superseded) };
        let before = self.before.wait();
        let mut verdict = self.verdict(VerdictStatus::NotEnough);
        verdict.samples_after = after.samples();
        if let Some(before) = before {
            verdict.comparisons = before.compare(&after, self.slo.as_ref(), self.metrics);
        }
        let is_enough = !verdict.comparisons.is_empty();
        verdict.status = if is_enough { VerdictStatus::Done } else { VerdictStatus::NotEnough };
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_models_are_forgotten() {
        let (owner, _messages) = std::sync::mpsc::channel();
        let mut verdicts = Verdicts::new(VerdictWindows::default(), owner).unwrap();
        for round in 0..100 {
            verdicts.touched.insert(format!("model {round}"), Instant::now());
        }
        verdicts.forget_removed(&DesiredState::default());
        assert!(verdicts.touched.is_empty());
    }
}
