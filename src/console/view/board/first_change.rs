//! The change to try first, shown while there is none.

use crate::console::state::{Command, ConsoleState};
use crate::console::view::canvas::wrap;
use crate::telemetry::{ModelState, ModelView};

/// A move of one core that is likely to show an effect.
pub(super) struct FirstChange<'s> {
    /// The donor; `None` for a free core.
    from: Option<&'s str>,
    to: &'s str,
}

impl<'s> FirstChange<'s> {
    /// Returns a core of the model that has most, or a free core, for the model that needs it most: the
    /// first that misses its target, else the first. `None` if nothing can be given.
    pub(super) fn of(state: &'s ConsoleState) -> Option<Self> {
        let models = || state.snapshot.models.iter();
        let cores = |view: &ModelView| state.row_of(view).cores.len();
        let running = |view: &&ModelView| !matches!(view.state, ModelState::Failed { .. });
        // of equals, the first
        let richest = models().filter(|view| cores(view) > 1).rev().max_by_key(|view| cores(view));
        let donor = if state.ledger().free.is_empty() { Some(richest?) } else { None };
        let name = |view: &'s ModelView| view.row.budget.name.as_str();
        let others = || models().filter(running).filter(|view| donor.map(name) != Some(name(view)));
        let to = others().find(|view| misses(view)).or_else(|| others().next());
        Some(Self { from: donor.map(name), to: name(to?) })
    }

    /// Returns the names of donor and receiver.
    pub(super) fn names(&self) -> (Option<&'s str>, &'s str) {
        (self.from, self.to)
    }

    fn text(&self, state: &ConsoleState) -> String {
        let Self { from, to } = self;
        if state.mouse {
            let core = state.glyphs.core;
            return match from {
                Some(from) => format!("Try it: drag a {core} of {from} onto {to}."),
                None => format!("Try it: drag a free {core} onto {to}."),
            };
        }
        let (lift, drop) = (state.keymap.shown(Command::Lift), state.keymap.shown(Command::Accept));
        let from = from.unwrap_or("free");
        format!("Try it: select {from}, press {lift}, choose {to}, press {drop}.")
    }
}

/// Returns the text of a changes pane without changes: the longest that fits on `height` lines.
pub(super) fn invitation(state: &ConsoleState, width: usize, height: usize) -> String {
    let empty = "No change yet.";
    let effect = "Each change appears here with its effect on latency and throughput.";
    let forms = match FirstChange::of(state).filter(|_| !state.readonly) {
        Some(first) => {
            let text = first.text(state);
            vec![format!("{empty} {text} {effect}"), format!("{text} {effect}"), text]
        }
        None => vec![format!("{empty} {effect}"), empty.to_owned()],
    };
    let fits = |form: &&String| wrap(form, width).len() <= height;
    forms.iter().find(fits).or(forms.last()).cloned().unwrap_or_default()
}

fn misses(view: &ModelView) -> bool {
    let bound = view.row.budget.slo.map(|slo| slo.bound.as_micros() as u64);
    view.minute.slo_us.zip(bound).is_some_and(|(now, bound)| now > bound)
}
