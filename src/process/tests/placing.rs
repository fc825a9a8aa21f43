//! Tests of placing threads of real processes.

use super::support::{Cpus, Program, host, masks, options, row, wait_for};
use crate::layout::{ProcessSelector, ProcessSource};
use crate::machine::CpuSet;
use crate::process::{ProcessAccess, ProcessOptions};
use crate::telemetry::ProcessState;

/// Returns the CPUs of a machine that has two.
macro_rules! two_cpus {
    () => {
        match Cpus::find() {
            Some(cpus) => cpus,
            None => return,
        }
    };
}

#[test]
fn pin_places_every_thread() {
    let cpus = two_cpus!();
    let mut program = Program::start();
    program.run("thread(7)");
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    for cores in [cpus.first, cpus.second] {
        row.set_budget(&cores);
        assert_eq!(row.pin(cores), Vec::<String>::new());
        assert_eq!(program.masks(), [cores; 8]);
        assert_eq!((row.mask(), row.strays()), (cores, Vec::new()));
    }
}

#[test]
fn row_without_budget_changes_nothing() {
    let cpus = two_cpus!();
    let program = Program::start();
    program.move_to(cpus.first);
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.pin(cpus.second);
    let before = row.sample();
    wait_for("another sample", || !std::sync::Arc::ptr_eq(&before.view, &row.sample().view));
    assert_eq!(program.masks(), [cpus.first]);
}

#[test]
fn row_without_budget_leaves_reserved_cores() {
    let cpus = two_cpus!();
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    host.set_reserved(cpus.first);
    row.pin(cpus.all.difference(&cpus.first));
    assert_eq!(program.masks(), [cpus.all.difference(&cpus.first)]);
    host.set_reserved(CpuSet::EMPTY);
    row.pin(cpus.all);
    assert_eq!(program.masks(), [cpus.all]);
}

#[test]
fn thread_keeps_its_own_limit() {
    let cpus = two_cpus!();
    let mut program = Program::start();
    let second = cpus.second.lowest().unwrap();
    program.run(&format!(
        "threading.Thread(target=lambda: (os.sched_setaffinity(0, [{second}]), \
         threading.Event().wait()), daemon=True).start(); time.sleep(0.2)"
    ));
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    let both = cpus.first.union(&cpus.second);
    row.set_budget(&both);
    for (cores, limited) in [(both, cpus.second), (cpus.first, cpus.first), (both, cpus.second)] {
        row.pin(cores);
        assert_eq!(program.masks()[1], limited, "{cores}");
    }
}

#[test]
fn new_thread_follows_a_budget_that_grows() {
    let cpus = two_cpus!();
    let mut program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    program.run("thread(3)");
    assert_eq!(program.masks(), [cpus.first; 4]);
    let both = cpus.first.union(&cpus.second);
    row.pin(both);
    assert_eq!(program.masks(), [both; 4]);
}

#[test]
fn children_are_placed() {
    let cpus = two_cpus!();
    let mut program = Program::start();
    program.run("kept.append(subprocess.Popen(['sleep', '60']))");
    let host = host(options());
    let row = row(&host, &program.source(), 2);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    program.run("kept.append(subprocess.Popen(['sleep', '60']))");
    wait_for("the second child", || row.members().len() == 3);
    let both = cpus.first.union(&cpus.second);
    row.pin(both);
    for member in row.members().iter() {
        assert_eq!(masks(member.pid), [both]);
    }
    program.run("[child.kill() for child in kept]");
}

#[test]
fn drift_is_repaired() {
    let cpus = two_cpus!();
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    program.move_to(cpus.second);
    wait_for("the repair", || program.masks() == [cpus.first]);
}

#[test]
fn another_manager_wins_after_three_repairs() {
    let cpus = two_cpus!();
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    for _ in 0..3 {
        program.move_to(cpus.second);
        wait_for("a repair", || program.masks() == [cpus.first]);
    }
    program.move_to(cpus.second);
    let is_left = |row: &crate::process::ProcessRow| {
        row.strays().iter().any(|message| message.contains("another manager sets the CPUs"))
    };
    wait_for("the message", || is_left(&row));
    // The same cores again are no new change.
    assert!(row.pin(cpus.first)[0].contains("until the row's cores change"));
    assert_eq!(program.masks(), [cpus.second]);
    row.pin(cpus.all);
    row.pin(cpus.first);
    assert_eq!((program.masks(), row.strays()), (vec![cpus.first], Vec::new()));
}

#[test]
fn cpus_that_do_not_exist_are_reported() {
    let program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    let missing = "1022-1023".parse().unwrap();
    row.set_budget(&missing);
    let differences = row.pin(missing);
    assert!(differences[0].contains("cannot be moved to 1022-1023"), "{differences:?}");
    assert_eq!(row.strays(), differences);
}

#[test]
fn observing_host_sets_nothing() {
    let cpus = two_cpus!();
    let program = Program::start();
    let host = host(ProcessOptions { access: ProcessAccess::Observe, ..options() });
    let row = row(&host, &program.source(), 1);
    row.set_budget(&cpus.first);
    assert_eq!(row.pin(cpus.first), Vec::<String>::new());
    assert_eq!(program.masks(), [cpus.all]);
    assert_eq!(row.sample().view.read_only.as_deref(), Some("divvy runs with --readonly"));
}

#[test]
fn row_waits_for_its_process() {
    let host = host(options());
    let name = format!("divvy-test-{}", std::process::id());
    let source = ProcessSource::new(ProcessSelector::Exe(name.clone()));
    let row = host.row("row", &source);
    let cores = row.mask();
    row.pin(cores);
    wait_for("a sample", || row.sample().view.selector == source.description());
    assert_eq!(row.sample().view.state, ProcessState::Absent);
    let folder = tempfile::tempdir().unwrap();
    let exe = folder.path().join(&name);
    std::fs::copy("/bin/sleep", &exe).unwrap();
    let mut child = std::process::Command::new(&exe).arg("60").spawn().unwrap();
    wait_for("the process", || row.sample().view.state == ProcessState::Running);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("its end", || row.sample().view.state == ProcessState::Absent);
}

#[test]
fn own_process_is_refused() {
    let host = host(options());
    let source = ProcessSource::new(ProcessSelector::Pid(std::process::id() as i32));
    let row = host.row("row", &source);
    let is_refused = || match &row.sample().view.state {
        ProcessState::Failed { reason } => reason.contains("is divvy itself"),
        _ => false,
    };
    wait_for("the refusal", is_refused);
    assert_eq!(row.members().len(), 0);
}

#[test]
fn process_belongs_to_the_older_row() {
    let program = Program::start();
    let host = host(options());
    let _first = row(&host, &program.source(), 1);
    let second = host.row("second", &program.source());
    let is_refused = || match &second.sample().view.state {
        ProcessState::Failed { reason } => reason.contains("belongs to another row"),
        _ => false,
    };
    wait_for("the refusal", is_refused);
}
