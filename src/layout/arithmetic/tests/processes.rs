//! Process rows have cores, reserve and weight like models, and nothing that only models have.

use super::super::super::process_source::{ProcessCommand, ProcessSelector, ProcessSource};
use super::*;

/// A process row with this core request.
fn process(name: &str, cores: CoreRequest) -> Budget {
    let source = ProcessSource::new(ProcessSelector::Exe(name.to_owned()));
    Budget { cores, ..Budget::new(name, source) }
}

/// A process row without a budget of cores.
fn unlimited(name: &str) -> Budget {
    Budget::new(name, ProcessSource::new(ProcessSelector::Pid(4711)))
}

fn rows(desired: &DesiredState) -> Vec<(usize, usize)> {
    desired.rows.iter().map(|row| (row.threads, row.concurrency)).collect()
}

#[test]
fn cores_move_between_process_or_model() {
    let (desired, machine) = on(4, [list("m", "0-1"), process("p", CoreRequest::List(set("2-3")))]);
    let after = desired.change(&moves_these("2", "p", "m"), &machine).unwrap();
    assert_eq!(held(&after), "m 0-2, p 3");
    let after = after.change(&moves_these("0", "m", "p"), &machine).unwrap();
    assert_eq!(held(&after), "m 1-2, p 0,3");
}

#[test]
fn process_has_a_thread_per_core() {
    let (desired, _) = on(4, [process("p", CoreRequest::Count(3)), unlimited("q")]);
    assert_eq!(rows(&desired), [(1, 3), (1, 0)]);
}

#[test]
fn unlimited_process_takes_no_core() {
    let (desired, machine) = on(4, [unlimited("p"), count("m", 2)]);
    assert_eq!(desired.ledger(&machine).free.len(), 2);
    assert!(desired.row("p").unwrap().cores.is_empty());
}

#[test]
fn first_core_becomes_the_budget() {
    let (desired, machine) = on(4, [unlimited("p"), list("m", "0-1")]);
    let after = desired.change(&moves_these("1", "m", "p"), &machine).unwrap();
    assert_eq!(held(&after), "p 1, m 0");
    let plan = after.plan(&moves_these("1", "p", "m"), &machine).unwrap();
    assert!(plan.summary.contains("runs on all unreserved cores"), "{}", plan.summary);
}

#[test]
fn reserve_keeps_other_rows_off() {
    let reserving = Budget { reserve: true, ..process("p", CoreRequest::List(set("0-1"))) };
    let (desired, machine) = on(4, [reserving, list("m", "2")]);
    let onto = Edit::SetCores { model: "m".into(), cores: CoreRequest::List(set("1-2")) };
    let why = reason(desired.change(&onto.into(), &machine));
    assert!(why.contains("reserved by p"), "{why}");
}

#[test]
fn weight_counts_models_beside_processes() {
    let cores = CoreRequest::List(set("0"));
    let heavy = Budget { weight: 4, ..process("p", cores) };
    let (desired, _) = on(2, [heavy, list("m", "0")]);
    let nice = |name: &str| desired.nice(desired.row(name).unwrap());
    assert_eq!((nice("p"), nice("m")), (0, 6));
}

#[test]
fn refuses_what_only_models_have() {
    let (desired, machine) = on(4, [process("p", CoreRequest::Count(2)), count("m", 2)]);
    let model = || "p".to_owned();
    let edits = [
        Edit::SetThreads { model: model(), threads: Auto::Exactly(2) },
        Edit::SetConcurrency { model: model(), concurrency: Auto::Exactly(2) },
        Edit::Pause { model: model(), paused: true },
        Edit::SetObjective { model: model(), objective: Objective::Latency },
        Edit::TransferConcurrency { count: 1, from: "m".into(), to: "p".into() },
        Edit::Reload { model: model(), number: None },
        Edit::SetRow {
            budget: Box::new(Budget { paused: true, ..process("p", CoreRequest::Count(2)) }),
            base: None,
        },
    ];
    for edit in edits {
        let why = reason(desired.change(&edit.clone().into(), &machine));
        assert!(why.starts_with("p: is a process"), "{edit:?}: {why}");
    }
}

#[test]
fn refuses_selectors_without_a_meaning() {
    let (desired, machine) = on(2, [count("m", 1)]);
    for selector in [
        ProcessSelector::Exe(" ".into()),
        ProcessSelector::Pid(0),
        ProcessSelector::Cgroup("system.slice".into()),
    ] {
        let budget = Box::new(Budget::new("p", ProcessSource::new(selector)));
        let edit = Edit::Add { budget };
        assert!(desired.change(&edit.clone().into(), &machine).is_err(), "{edit:?}");
    }
}

#[test]
fn plan_names_commands_that_start_or_end() {
    let (desired, machine) = on(2, [count("m", 1)]);
    let args = vec!["python3".to_owned(), "serve.py".to_owned()];
    let (env, restart) = Default::default();
    let command = ProcessCommand { args, dir: None, env, restart };
    let source = ProcessSource::new(ProcessSelector::Command(command));
    let add = Edit::Add { budget: Box::new(Budget::new("p", source)) };
    let plan = desired.plan(&add.into(), &machine).unwrap();
    assert_eq!(plan.warnings, ["p: divvy starts its command, python3 serve.py"]);
    let remove = Edit::Remove { model: "p".into() };
    let plan = plan.after.plan(&remove.into(), &machine).unwrap();
    assert_eq!(plan.warnings, ["p: divvy ends its command, python3 serve.py"]);
}

#[test]
fn row_reads_back_from_json() {
    for budget in [process("p", CoreRequest::Count(2)), unlimited("q"), count("m", 1)] {
        let json = serde_json::to_string(&budget).unwrap();
        assert_eq!(serde_json::from_str::<Budget>(&json).unwrap(), budget, "{json}");
    }
}
