//! Shares of one core: processes that never sleep.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Session, TestProcess, weight};
use crate::machine::CpuSet;
use crate::process::weight::group::{GroupReader, SchedulingGroup};
use crate::process::weight::{WeightOriginals, WeightTarget};

/// Two spinners in sessions of their own on one CPU; `None` if this kernel does not group sessions, or the
/// test is in a cgroup with its own weight.
fn two_sessions() -> Option<[TestProcess; 2]> {
    let spinners = [TestProcess::spinner(Session::Own), TestProcess::spinner(Session::Own)];
    let reader = GroupReader::new(Path::new("/"));
    let own = std::process::id() as i32;
    for pid in spinners.iter().map(|spinner| spinner.id().pid).chain([own]) {
        if !matches!(reader.group(pid), Some(SchedulingGroup::Autogroup(_))) {
            eprintln!("skipped: the sessions of this machine have no groups");
            return None;
        }
    }
    let first = &spinners[0];
    let one = CpuSet::single(first.foreign().affinity(first.id().pid).unwrap().lowest().unwrap());
    for spinner in &spinners {
        spinner.foreign().set_affinity(spinner.id().pid, &one).unwrap();
    }
    Some(spinners)
}

/// Returns the CPU times of both from now until they have used a second together, in clock ticks.
fn shares(spinners: &[TestProcess; 2]) -> [u64; 2] {
    let before = spinners.each_ref().map(TestProcess::cpu_ticks);
    let patience = Instant::now() + Duration::from_mins(1);
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = spinners.each_ref().map(TestProcess::cpu_ticks);
        let used = [now[0] - before[0], now[1] - before[1]];
        if used[0] + used[1] >= 100 {
            return used;
        }
        assert!(Instant::now() < patience, "the spinners got {used:?} ticks");
    }
}

#[test]
fn autogroup_weight_divides_a_core() {
    let Some(spinners) = two_sessions() else { return };
    let [heavy, light] = spinners.each_ref();
    let mut weight = weight(&[light.id()]);
    assert_eq!(weight.refusal(), None);
    let autogroup = || GroupReader::new(Path::new("/")).autogroup(light.id().pid).unwrap();
    let found = autogroup();
    assert_eq!(weight.description(), format!("nice value of autogroup {}", found.id));

    weight.set_target(Some(WeightTarget { nice: 15, base: 0 }));
    let mut recorded = WeightOriginals::default();
    let messages = weight.apply(&mut |originals| recorded = originals.clone());
    assert_eq!(messages, [""; 0]);
    assert_eq!(autogroup().nice, (found.nice + 15).min(19));
    assert_eq!(light.foreign().nice(light.id().pid), heavy.foreign().nice(heavy.id().pid));
    let [much, little] = shares(&spinners);
    assert!(much > 5 * little.max(1), "{much} ticks against {little}");

    assert_eq!(recorded.autogroups[0].nice, found.nice);
    assert_eq!(weight.restore(), [""; 0]);
    assert_eq!(autogroup(), found);
}

#[test]
fn base_raises_other_group_over_divvys() {
    let Some(spinners) = two_sessions() else { return };
    if crate::machine::lowest_nice() > -10 {
        eprintln!("skipped: a negative nice value needs CAP_SYS_NICE");
        return;
    }
    let id = spinners[1].id();
    let mut weight = weight(&[id]);
    // the models on its cores have nice 10, but their group has the weight of nice 0
    weight.set_target(Some(WeightTarget { nice: 0, base: 10 }));
    assert_eq!(weight.apply(&mut |_| {}), [""; 0]);
    let [little, much] = shares(&spinners);
    assert!(much > 5 * little.max(1), "{much} ticks against {little}");
    weight.set_target(None);
    assert_eq!(weight.apply(&mut |_| {}), [""; 0]);
    assert_eq!(GroupReader::new(Path::new("/")).autogroup(id.pid).unwrap().nice, 0);
}

#[test]
fn record_restores_an_autogroup() {
    let Some([spinner, _other]) = two_sessions() else { return };
    let mut weight = weight(&[spinner.id()]);
    weight.set_target(Some(WeightTarget { nice: 6, base: 0 }));
    let mut record = String::new();
    let mut write =
        |originals: &WeightOriginals| record = serde_json::to_string(originals).unwrap();
    assert_eq!(weight.apply(&mut write), [""; 0]);
    drop(weight);
    let autogroup = || GroupReader::new(Path::new("/")).autogroup(spinner.id().pid).unwrap().nice;
    assert_eq!(autogroup(), 6);
    let originals: WeightOriginals = serde_json::from_str(&record).unwrap();
    assert_eq!(originals.restore(Path::new("/")), [""; 0]);
    assert_eq!(autogroup(), 0);
}

#[test]
fn changed_autogroup_is_reported() {
    let Some([spinner, _other]) = two_sessions() else { return };
    let mut weight = weight(&[spinner.id()]);
    weight.set_target(Some(WeightTarget { nice: 6, base: 0 }));
    assert_eq!(weight.apply(&mut |_| {}), [""; 0]);
    assert_eq!(weight.strays(), [""; 0]);
    let reader = GroupReader::new(Path::new("/"));
    reader.set_autogroup(spinner.id(), 3).unwrap();
    let id = reader.autogroup(spinner.id().pid).unwrap().id;
    assert_eq!(weight.strays(), [format!("autogroup {id} has nice 3 instead of 6")]);
    assert_eq!(weight.apply(&mut |_| {}), [""; 0]);
    assert_eq!(weight.strays(), [""; 0]);
}
