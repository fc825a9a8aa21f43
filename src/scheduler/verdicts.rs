//! Opens a before and an after window for each change, and writes the verdict into its entry when
//! the after window is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::history::History;
use super::owner::OwnerMessage;
use super::slot::Slots;
use crate::layout::{DesiredState, Slo};
use crate::pool::Pool;
use crate::telemetry::verdict::{self, Side};
use crate::telemetry::{Verdict, VerdictStatus};

/// The longest window before a change, and the length of the one after it.
pub(super) const WINDOW: Duration = Duration::from_secs(20);

/// The shortest window that is compared, when another change cuts it.
pub(super) const SHORTEST: Duration = Duration::from_secs(8);

/// Left out after a change: queues drain, caches warm, new instances take over.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// How long the windows are that a verdict compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerdictWindows {
    /// The longest window before a change, and the length of the one after it.
    pub length: Duration,
    /// The shortest window that is compared, when another change cuts it.
    pub shortest: Duration,
    /// Left out after a change.
    pub settle: Duration,
}

impl Default for VerdictWindows {
    fn default() -> Self {
        Self { length: WINDOW, shortest: SHORTEST, settle: SETTLE }
    }
}

/// The verdicts that are open.
pub(super) struct Verdicts {
    windows: VerdictWindows,
    owner: Sender<OwnerMessage>,
    open: Vec<Open>,
    /// When each model was touched last.
    touched: BTreeMap<String, Instant>,
    /// Threads that work verdicts out.
    working: Vec<JoinHandle<()>>,
}

struct Open {
    entry: u64,
    model: String,
    before: Option<Side>,
    slo: Option<Slo>,
    figures: usize,
    from: Instant,
}

impl Verdicts {
    /// None yet.
    pub(super) fn new(windows: VerdictWindows, owner: Sender<OwnerMessage>) -> Self {
        Self { windows, owner, open: Vec::new(), touched: BTreeMap::new(), working: Vec::new() }
    }

    /// Opens verdicts for the models that a change touched; closes those that it cuts short. The
    /// opened ones are for the change's entry.
    pub(super) fn open(
        &mut self,
        entry: u64,
        models: &[String],
        after: &DesiredState,
        slots: &Slots,
        history: &mut History,
        now: Instant,
    ) -> Vec<Verdict> {
        let (cut, kept) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &Open| models.contains(&open.model));
        self.open = kept;
        let (long, short): (Vec<Open>, Vec<Open>) =
            cut.into_iter().partition(|open: &Open| self.is_long(open, now));
        for open in short {
            history.decide(open.entry, open.verdict(VerdictStatus::Superseded));
        }
        self.decide_all(long, slots, now);
        let present: Vec<_> = models.iter().filter_map(|name| after.row(name)).collect();
        let figures = present.iter().map(|row| verdict::figures(row.budget.slo.as_ref())).sum();
        let mut verdicts = Vec::new();
        for row in present {
            let name = &row.budget.name;
            let earliest = now.checked_sub(self.windows.length).unwrap_or(now);
            let since =
                self.touched.insert(name.clone(), now).map(|touched| touched + self.windows.settle);
            let before = slots.get(name).and_then(|slot| {
                let recorder = slot.pool.recorder();
                let from = since.unwrap_or(earliest).max(earliest).max(recorder.oldest_sample()?);
                let long = now.saturating_duration_since(from) >= self.windows.shortest;
                long.then(|| Side { samples: recorder.samples(from, now), from, to: now })
            });
            let open = Open {
                entry,
                model: name.clone(),
                before,
                slo: row.budget.slo,
                figures,
                from: now + self.windows.settle,
            };
            verdicts.push(open.verdict(VerdictStatus::Open));
            self.open.push(open);
        }
        verdicts
    }

    /// Whether its window after the change is long enough to be compared.
    fn is_long(&self, open: &Open, now: Instant) -> bool {
        now.saturating_duration_since(open.from) >= self.windows.shortest
    }

    /// Closes the verdicts whose window after the change is full; the owner is told what they are.
    pub(super) fn close_due(&mut self, slots: &Slots, now: Instant) {
        let length = self.windows.length;
        let (due, rest): (Vec<Open>, Vec<Open>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &Open| now >= open.from + length);
        self.open = rest;
        self.decide_all(due, slots, now);
    }

    /// Closes all that are open, at the end of a run; when this returns the owner has been told of
    /// each, of those that were being worked out too.
    pub(super) fn close_all(&mut self, slots: &Slots, now: Instant) {
        let (long, short): (Vec<Open>, Vec<Open>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &Open| self.is_long(open, now));
        let short = short.iter().map(|open| (open.entry, open.verdict(VerdictStatus::NotEnough)));
        // The owner itself asks, so it is there.
        let _ = self.owner.send(OwnerMessage::Verdicts(short.collect()));
        self.decide_all(long, slots, now);
        for thread in self.working.drain(..) {
            // A panic of it has been printed.
            let _ = thread.join();
        }
    }

    /// Works the verdicts out that are due, on a thread of its own: it takes milliseconds, which neither
    /// a change nor a model's core should have to wait for.
    fn decide_all(&mut self, due: Vec<Open>, slots: &Slots, now: Instant) {
        if due.is_empty() {
            return;
        }
        let with_pool = |open: Open| {
            let pool = slots.get(&open.model).map(|slot| slot.pool.clone());
            (open, pool)
        };
        let due: Vec<(Open, Option<Arc<Pool>>)> = due.into_iter().map(with_pool).collect();
        let owner = self.owner.clone();
        let body = move || {
            let decided = due
                .iter()
                .map(|(open, pool)| (open.entry, decide(open, pool.as_deref(), now)))
                .collect();
            // An owner that has ended needs no verdict.
            let _ = owner.send(OwnerMessage::Verdicts(decided));
        };
        self.working.retain(|thread| !thread.is_finished());
        match std::thread::Builder::new().name("divvy-verdict".to_owned()).spawn(body) {
            Ok(thread) => self.working.push(thread),
            Err(error) => tracing::error!("a verdict is left out: cannot start a thread: {error}"),
        }
    }
}

impl Open {
    /// Without comparisons.
    fn verdict(&self, status: VerdictStatus) -> Verdict {
        Verdict {
            model: self.model.clone(),
            status,
            samples_before: self.before.as_ref().map_or(0, |side| side.samples.len() as u64),
            samples_after: 0,
            comparisons: Vec::new(),
        }
    }
}

fn decide(open: &Open, pool: Option<&Pool>, now: Instant) -> Verdict {
    // the model is gone
    let mut verdict = open.verdict(VerdictStatus::Superseded);
    let Some(pool) = pool else { return verdict };
    let samples = pool.recorder().samples(open.from, now);
    verdict.samples_after = samples.len() as u64;
    let after = Side { samples, from: open.from, to: now };
    if let Some(before) = &open.before {
        verdict.comparisons = verdict::compare(before, &after, open.slo.as_ref(), open.figures);
    }
    let enough = !verdict.comparisons.is_empty();
    verdict.status = if enough { VerdictStatus::Done } else { VerdictStatus::NotEnough };
    verdict
}
