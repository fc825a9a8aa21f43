//! Keeps divvy's own threads (console, load, journal, signals, scheduler) off the cores that a model
//! has reserved, as long as another core is there; follows every change of the reserved set.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::machine::{AffinityError, CpuSet, Machine, ThreadId, process_threads};
use crate::telemetry::Snapshot;

/// Looks after a change: the second finds threads that were being made during the first.
const LOOKS: u32 = 2;

/// Reads models: a model's own, placed like it, so not one of divvy's.
const READS_MODELS: &str = "divvy-load-file";

/// Starts the thread that follows; it ends with the snapshots.
///
/// # Errors
/// When the system gives no further thread.
pub(super) fn follow(
    machine: Arc<dyn Machine>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::Builder::new().name("divvy-place".to_owned()).spawn(move || {
        snapshots.mark_changed();
        let mut placed = (CpuSet::EMPTY, 0);
        while runtime.block_on(snapshots.changed()).is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            let rest = rest(&snapshot);
            if rest.is_empty() {
                continue;
            }
            if placed.0 != rest {
                placed = (rest, LOOKS);
            }
            if placed.1 > 0 {
                placed.1 -= 1;
                place(&*machine, &process_threads(), &of_models(&snapshot), &rest);
            }
        }
    })?;
    Ok(())
}

/// The cores that nobody has reserved; all that are allowed where that leaves none.
fn rest(snapshot: &Snapshot) -> CpuSet {
    let ledger = &snapshot.ledger;
    let rest = ledger.allowed.difference(&ledger.reserved);
    if rest.is_empty() { ledger.allowed } else { rest }
}

fn of_models(snapshot: &Snapshot) -> HashSet<ThreadId> {
    let threads = snapshot.models.iter().flat_map(|model| &model.actual.threads);
    threads.map(|thread| thread.id).collect()
}

/// Allows divvy's own threads among these on `rest`.
fn place(
    machine: &dyn Machine,
    threads: &[(ThreadId, String)],
    of_models: &HashSet<ThreadId>,
    rest: &CpuSet,
) {
    for (thread, name) in threads {
        if of_models.contains(thread) || !is_own(*thread, name) {
            continue;
        }
        match machine.set_affinity(*thread, rest) {
            // it ended between two looks
            Ok(()) | Err(AffinityError::NoSuchThread(_)) => {}
            Err(error) => tracing::warn!("{name} stays where it is: {error}"),
        }
    }
}

/// Whether a thread is divvy's own: the main one, or by its name. An instance's thread is called
/// "model/0", and what an engine starts has that name or one of its own, so neither can pass.
fn is_own(thread: ThreadId, name: &str) -> bool {
    let main = i32::try_from(std::process::id()).is_ok_and(|id| ThreadId(id) == thread);
    let named = (name.starts_with("divvy-") || name.starts_with("console-"))
        && !name.contains('/')
        && name != READS_MODELS;
    main || named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_threads_are_told_from_a_models_by_name() {
        let some = ThreadId(1_000_000_000);
        for name in ["divvy-sched", "divvy-journal", "divvy-load", "console-keys"] {
            assert!(is_own(some, name), "{name}");
        }
        for name in ["divvy-load-file", "divvy-x/0", "console-y/12", "ort-helper", "divvy", "x/0"] {
            assert!(!is_own(some, name), "{name}");
        }
        assert!(is_own(ThreadId(std::process::id() as i32), "anything"));
    }

    #[test]
    fn reserved_cores_are_left_where_another_is_there() {
        let set = |list: &str| -> CpuSet { list.parse().unwrap() };
        let mut snapshot = Snapshot::default();
        snapshot.ledger.allowed = set("0-3");
        snapshot.ledger.reserved = set("1-2");
        assert_eq!(rest(&snapshot), set("0,3"));
        snapshot.ledger.reserved = set("0-3");
        assert_eq!(rest(&snapshot), set("0-3"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn on_this_machine_own_threads_move_and_a_models_do_not() {
        use std::sync::Barrier;

        use crate::machine::{current_thread, this_machine};

        const NAMES: [&str; 4] =
            ["divvy-test-own", "divvy-model/0", "divvy-test-mod", "ort-helper"];

        let machine = this_machine(None).unwrap();
        let allowed = machine.describe().limits.allowed;
        let Some(core) = allowed.iter().next().filter(|_| allowed.len() > 1) else {
            eprintln!("skipped: one CPU only");
            return;
        };
        let rest: CpuSet = [core].into_iter().collect();
        let end = Arc::new(Barrier::new(NAMES.len() + 1));
        let (sender, ids) = std::sync::mpsc::channel();
        let handles: Vec<_> = NAMES
            .iter()
            .map(|name| {
                let (sender, end) = (sender.clone(), end.clone());
                let body = move || {
                    sender.send(((*name).to_owned(), current_thread())).unwrap();
                    end.wait();
                };
                std::thread::Builder::new().name((*name).to_owned()).spawn(body).unwrap()
            })
            .collect();
        let started: std::collections::HashMap<String, ThreadId> =
            ids.iter().take(NAMES.len()).collect();
        // only these: other tests of this process have threads of their own
        let listed: Vec<(ThreadId, String)> = process_threads()
            .into_iter()
            .filter(|(id, _)| started.values().any(|started| started == id))
            .collect();
        assert_eq!(listed.len(), NAMES.len());
        for (id, name) in &listed {
            assert_eq!(started[name], *id);
        }
        let before = machine.affinity(started["ort-helper"]).unwrap();
        assert!(before.len() > 1);
        let of_models = HashSet::from([started["divvy-test-mod"]]);
        place(&*machine, &listed, &of_models, &rest);
        assert_eq!(machine.affinity(started["divvy-test-own"]).unwrap(), rest);
        for name in ["divvy-model/0", "divvy-test-mod", "ort-helper"] {
            assert_eq!(machine.affinity(started[name]).unwrap(), before, "{name}");
        }
        end.wait();
        for handle in handles {
            handle.join().unwrap();
        }
    }
}
