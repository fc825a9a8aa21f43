//! Keeps divvy's own threads (console, load, journal, signals, scheduler) off reserved cores, as long
//! as other cores remain.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::machine::{AffinityError, CpuSet, Machine, NamedThread, ThreadId, process_threads};
use crate::telemetry::Snapshot;

/// Passes after a change of the reserved cores: the second one finds threads that were being started
/// during the first.
const PASSES: u32 = 2;

/// The thread that reads model files; it runs on the model's cores.
const FILE_LOADER: &str = "divvy-load-file";

/// Starts the thread that follows the reserved cores; it ends with the snapshots.
///
/// # Errors
/// When the system cannot start a thread.
pub(super) fn follow(
    machine: Arc<dyn Machine>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::Builder::new().name("divvy-place".to_owned()).spawn(move || {
        snapshots.mark_changed();
        let mut target = CpuSet::EMPTY;
        let mut passes = 0;
        while runtime.block_on(snapshots.changed()).is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            let shared = shared_cores(&snapshot);
            if shared.is_empty() {
                continue;
            }
            if target != shared {
                (target, passes) = (shared, PASSES);
            }
            if passes > 0 {
                passes -= 1;
                let models = model_threads(&snapshot);
                move_own_threads(&*machine, &process_threads(), &models, &target);
            }
        }
    })?;
    Ok(())
}

/// Returns the cores that no model has reserved; all allowed cores if every one is reserved.
fn shared_cores(snapshot: &Snapshot) -> CpuSet {
    let ledger = &snapshot.ledger;
    let shared = ledger.allowed.difference(&ledger.reserved);
    if shared.is_empty() { ledger.allowed } else { shared }
}

fn model_threads(snapshot: &Snapshot) -> HashSet<ThreadId> {
    let threads = snapshot.models.iter().flat_map(|model| &model.actual.threads);
    threads.map(|thread| thread.id).collect()
}

/// Sets the affinity of divvy's own threads among `threads`.
fn move_own_threads(
    machine: &dyn Machine,
    threads: &[NamedThread],
    models: &HashSet<ThreadId>,
    cores: &CpuSet,
) {
    for NamedThread { id: thread, name } in threads {
        if models.contains(thread) || !is_own(*thread, name) {
            continue;
        }
        match machine.set_affinity(*thread, cores) {
            // it has ended since it was listed
            Ok(()) | Err(AffinityError::NoSuchThread(_)) => {}
            Err(error) => tracing::warn!("cannot move thread {name} off reserved cores: {error}"),
        }
    }
}

/// Returns true for divvy's own threads: the main thread, and those that are named so. The thread of
/// an instance is named "model/0"; threads that an engine starts inherit that name or have others.
fn is_own(thread: ThreadId, name: &str) -> bool {
    let main = i32::try_from(std::process::id()).is_ok_and(|id| id == thread.tid);
    let named = (name.starts_with("divvy-") || name.starts_with("console-"))
        && !name.contains('/')
        && name != FILE_LOADER;
    main || named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_threads_are_known_by_name() {
        let some = ThreadId::of_tid(1_000_000_000);
        for name in ["divvy-sched", "divvy-journal", "divvy-load", "divvy-control", "console-keys"]
        {
            assert!(is_own(some, name), "{name}");
        }
        for name in ["divvy-load-file", "divvy-x/0", "console-y/12", "ort-helper", "divvy", "x/0"] {
            assert!(!is_own(some, name), "{name}");
        }
        assert!(is_own(ThreadId::of_tid(std::process::id() as i32), "anything"));
    }

    #[test]
    fn own_threads_avoid_reserved_cores() {
        let set = |list: &str| -> CpuSet { list.parse().unwrap() };
        let mut snapshot = Snapshot::default();
        snapshot.ledger.allowed = set("0-3");
        snapshot.ledger.reserved = set("1-2");
        assert_eq!(shared_cores(&snapshot), set("0,3"));
        snapshot.ledger.reserved = set("0-3");
        assert_eq!(shared_cores(&snapshot), set("0-3"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_own_threads_are_moved() {
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
        let listed: Vec<NamedThread> = process_threads()
            .into_iter()
            .filter(|thread| started.values().any(|started| *started == thread.id))
            .collect();
        assert_eq!(listed.len(), NAMES.len());
        for NamedThread { id, name } in &listed {
            assert_eq!(started[name], *id);
        }
        let before = machine.affinity(started["ort-helper"]).unwrap();
        assert!(before.len() > 1);
        let models = HashSet::from([started["divvy-test-mod"]]);
        move_own_threads(&*machine, &listed, &models, &rest);
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
