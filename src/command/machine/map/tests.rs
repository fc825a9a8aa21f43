//! The map and the JSON of example machines.

use super::*;
use crate::machine::{Machine, ThreadId};
use crate::machine::{MemoryUse, SimulatedMachine, examples};
use crate::telemetry::GpuView;

fn report(description: Description) -> MachineReport {
    let total = description.limits.memory.unwrap_or(256 << 30);
    MachineReport {
        version: MachineReport::VERSION,
        description,
        memory: MemoryUse { total, used: 3 << 29, process: 20 << 20 },
        gpus: GpuView {
            note: Some("no NVIDIA GPU".into()),
            reason: Some("no driver library".into()),
            ..GpuView::default()
        },
    }
}

#[test]
fn maps_fit_80_columns() {
    for (name, description) in examples() {
        let map = draw(&report(description));
        for line in map.lines() {
            assert!(line.len() <= WIDTH, "{name}: {line}");
            assert_eq!(line, line.trim_end(), "{name}");
        }
        insta::assert_snapshot!(name, map);
    }
}

#[test]
fn each_cpu_is_on_the_map_once() {
    for (name, description) in examples() {
        let map = draw(&report(description.clone()));
        let (_, places) = map.split_once("\n\n").unwrap();
        let places = places.split("\n\na+b").next().unwrap();
        let mut drawn: Vec<u16> = Vec::new();
        for line in places.lines().filter(|line| line.starts_with("  ")) {
            let digits = line.get(CELLS..).unwrap();
            let ids = digits.split(|sign: char| !sign.is_ascii_digit());
            drawn.extend(ids.filter(|id| !id.is_empty()).map(|id| id.parse::<u16>().unwrap()));
        }
        drawn.sort_unstable();
        let ids: Vec<u16> = description.topology.cores.iter().map(|core| core.id.0).collect();
        assert_eq!(drawn, ids, "{name}");
    }
}

#[test]
fn json_round_trips() {
    for (name, description) in examples() {
        let report = report(description);
        let json = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(serde_json::from_str::<MachineReport>(&json).unwrap(), report, "{name}");
        if name == "two_core_vm" {
            insta::assert_snapshot!("two_core_vm_json", json);
        }
    }
}

#[test]
fn map_marks_simulated_machine() {
    let machine = SimulatedMachine::uniform(3);
    machine.set_affinity(ThreadId::of_tid(1), &CpuSet::first(1)).unwrap();
    assert!(draw(&report(machine.describe())).contains("this machine is simulated"));
}

#[test]
fn many_scattered_cpus_wrap() {
    let mut description = Description::uniform(512);
    description.limits.allowed =
        description.topology.cores.iter().step_by(3).map(|c| c.id).collect();
    let map = draw(&report(description));
    assert!(map.lines().all(|line| line.len() <= WIDTH), "{map}");
}

#[test]
fn trailing_zeros_are_trimmed() {
    let trimmed = [2.5, 4.0, 10.0, 1.25].map(trimmed);
    assert_eq!(trimmed, ["2.5", "4", "10", "1.25"]);
}
