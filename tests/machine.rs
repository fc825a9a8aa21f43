//! Tests of the command `divvy machine`.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use divvy::command::machine::MachineReport;

fn divvy(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_divvy")).arg("machine").args(args).output().unwrap()
}

fn report(args: &[&str]) -> MachineReport {
    let output = divvy(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn json_describes_this_machine() {
    let report = report(&["--json"]);
    assert_eq!(report.version, MachineReport::VERSION);
    assert!(!report.description.simulated);
    assert!(!report.description.limits.allowed.is_empty());
    assert!(report.description.limits.allowed.is_subset(&report.description.topology.online()));
    assert!(report.memory.process > 0);
    assert_eq!(report.gpus.devices.is_empty(), report.gpus.note.is_some());
}

#[test]
fn map_names_usable_cpus() {
    let output = divvy(&[]);
    assert!(output.status.success());
    let map = String::from_utf8(output.stdout).unwrap();
    assert!(map.lines().any(|line| line.starts_with("usable")), "{map}");
    assert!(map.contains("socket 0"), "{map}");
}

#[test]
fn cores_option_restricts_the_machine() {
    let all = report(&["--json"]).description.limits.allowed;
    let lowest = all.lowest().unwrap().to_string();
    let part = report(&["--json", "--cores", &lowest]);
    assert_eq!(part.description.limits.allowed.to_string(), lowest);
    for (list, message) in [("1023", "no CPU 1023"), ("3-1", "backwards"), ("", "names no CPU")] {
        let output = divvy(&["--cores", list]);
        assert_eq!(output.status.code(), Some(2), "{list}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(message), "{list}: {error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn startup_mask_restricts_the_machine() {
    use divvy::machine::{CpuSet, current_thread, this_machine};
    // A child process inherits the mask of the thread that starts it.
    let machine = this_machine(None).unwrap();
    let highest = machine.describe().limits.allowed.iter().last().unwrap();
    let mask = CpuSet::single(highest);
    let child = std::thread::spawn(move || {
        machine.set_affinity(current_thread(), &mask).unwrap();
        report(&["--json"])
    });
    assert_eq!(child.join().unwrap().description.limits.allowed, mask);
}
