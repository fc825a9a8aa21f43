//! Counts the threads of processes in the ledger, as measured.

use crate::layout::{Ledger, Row};
use crate::scheduler::messages::SchedulerState;

/// Replaces the thread per core that the layout assumes for each process row by the threads that ran or
/// waited, and marks the cores on which more of them did than there are cores.
pub(super) fn count_processes(ledger: &mut Ledger, state: &SchedulerState) {
    for row in state.desired.rows.iter().filter(|row| row.budget.is_process()) {
        let slot = state.slots.get(&row.budget.name);
        let Some(sample) = slot.and_then(|slot| slot.workload.processes()) else { continue };
        count(ledger, row, sample.view.runnable);
    }
}

fn count(ledger: &mut Ledger, row: &Row, runnable: f64) {
    let runnable = runnable.round() as usize;
    ledger.threads = ledger.threads.saturating_sub(row.threads * row.concurrency) + runnable;
    if runnable > row.cores.len() {
        ledger.oversubscribed = ledger.oversubscribed.union(&row.cores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{
        Budget, CoreRequest, DesiredState, Layout, ProcessSelector, ProcessSource,
    };
    use crate::machine::Description;

    #[test]
    fn runnable_threads_crowd_their_cores() {
        let source = ProcessSource::new(ProcessSelector::Exe("p".to_owned()));
        let cores = CoreRequest::List("0-1".parse().unwrap());
        let models = vec![Budget { cores, ..Budget::new("p", source) }];
        let layout = Layout { description: String::new(), models };
        let machine = Description::uniform(4);
        let desired = DesiredState::resolve(&layout, &machine).unwrap();
        let of = |runnable| {
            let mut ledger = desired.ledger(&machine);
            count(&mut ledger, &desired.rows[0], runnable);
            (ledger.threads, ledger.oversubscribed.to_string())
        };
        assert_eq!(of(0.2), (0, String::new()));
        assert_eq!(of(2.4), (2, String::new()));
        assert_eq!(of(63.7), (64, "0-1".to_owned()));
    }
}
