//! Weights that are refused.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Session, TestProcess, files, plan, weight};
use crate::process::weight::WeightTarget;
use crate::process::weight::group::{GroupReader, SchedulingGroup};

#[test]
fn refused_weight_names_the_others() {
    let script = "sleep 600 & echo $!; exec >/dev/null; wait";
    let shell = TestProcess::start(Session::Own, "sh", &["-c", script]);
    let other: i32 = shell.line.parse().unwrap();
    // the shell prints the number before its child becomes `sleep`
    let patience = Instant::now() + Duration::from_secs(20);
    while files().stat(other).is_none_or(|stat| &*stat.name != "sleep") {
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(5));
    }
    let reader = GroupReader::new(Path::new("/"));
    let id = shell.id();
    if !matches!(reader.group(id.pid), Some(SchedulingGroup::Autogroup(_))) {
        eprintln!("skipped: the sessions of this machine have no groups");
        return;
    }
    let mut row = weight(&[id]);
    let refusal = row.refusal().unwrap();
    assert!(refusal.contains(&format!(" with sleep ({other}): ")), "{refusal}");
    assert_eq!(row.description(), "");
    row.set_target(Some(WeightTarget { nice: 6, base: 0 }));
    assert_eq!(row.apply(&mut |_| {}), [format!("its weight is not in force: {refusal}")]);
    assert_eq!(reader.autogroup(id.pid).unwrap().nice, 0);

    let both = [id, files().stat(other).unwrap().id];
    plan(&mut row, &both);
    assert_eq!(row.refusal(), None);
    assert_eq!(row.apply(&mut |_| {}), [""; 0]);
    assert_eq!(reader.autogroup(other).unwrap().nice, 6);
    assert_eq!(row.restore(), [""; 0]);
    let _ = std::process::Command::new("kill").arg(other.to_string()).status();
}
