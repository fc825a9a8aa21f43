//! A layout follows a real cpuset that narrows and widens. Needs Linux, two CPUs and permission to
//! create a cgroup; otherwise prints the reason and passes.
//!
//! The only test of its process, because the whole process moves into the cgroup.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, dead_code)]

#[path = "scheduler/test_scheduler.rs"]
mod test_scheduler;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use divvy::machine::{CpuSet, this_machine};
use divvy::pool::Request;
use divvy::scheduler::{Control, Options, Scheduler};
use divvy::telemetry::ModelView;

use test_scheduler::{Answers, PATIENCE, Scripts, layout, row};

/// A cpuset for this process. Moves the process back on drop.
struct TestCpuset {
    home: PathBuf,
    own: PathBuf,
}

impl TestCpuset {
    fn create() -> Result<Self, String> {
        let groups = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let v1 = Path::new("/sys/fs/cgroup/cpuset");
        let (root, line) = if v1.join("cgroup.procs").exists() {
            (v1, groups.lines().find(|line| line.contains(":cpuset:")))
        } else {
            (Path::new("/sys/fs/cgroup"), groups.lines().find(|line| line.starts_with("0::")))
        };
        let line = line.ok_or("this process is in no cpuset")?;
        let path = line.rsplit(':').next().unwrap_or("/").trim_start_matches('/');
        let home = root.join(path);
        let own = home.join(format!("divvy-test-{}", std::process::id()));
        fs::create_dir(&own).map_err(|error| format!("{}: {error}", own.display()))?;
        let cpuset = Self { home, own };
        if root == v1 {
            for file in ["cpuset.mems", "cpuset.cpus"] {
                let parents = fs::read_to_string(cpuset.home.join(file)).unwrap_or_default();
                cpuset.write(file, parents.trim())?;
            }
        } else {
            // Fails if the parent does not delegate the controller.
            let from = fs::read_to_string(cpuset.home.join("cpuset.cpus.effective"));
            cpuset.write("cpuset.cpus", from.map_err(|e| e.to_string())?.trim())?;
        }
        cpuset.write("cgroup.procs", &std::process::id().to_string())?;
        Ok(cpuset)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let path = self.own.join(file);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for TestCpuset {
    fn drop(&mut self) {
        let _ = fs::write(self.home.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs::remove_dir(&self.own);
    }
}

fn until(scheduler: &Scheduler, what: &str, done: impl Fn(&ModelView) -> bool) {
    let start = Instant::now();
    loop {
        let snapshot = scheduler.snapshots().borrow().clone();
        if snapshot.model("m").is_some_and(&done) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", snapshot.model("m"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn layout_follows_a_real_cpuset() {
    let cpuset = match TestCpuset::create() {
        Ok(cpuset) => cpuset,
        Err(reason) => return println!("skipped: cannot create a cpuset: {reason}"),
    };
    let machine = this_machine(None).unwrap();
    let all = machine.describe().limits.allowed;
    if all.len() < 2 {
        return println!("skipped: this needs two CPUs");
    }
    let scripts = Arc::new(Scripts::default());
    scripts.of("m").sleep_ns.store(500_000, Ordering::SeqCst);
    let mut options = Options::new(machine, scripts);
    options.interval = Duration::from_millis(50);
    options.machine_check = Duration::from_millis(50);
    let scheduler = Scheduler::start(&layout(vec![row("m", &all.to_string())]), options).unwrap();
    until(&scheduler, "started", |view| {
        view.actual.active == all.len() && view.actual.cores == all
    });
    let answers = Arc::new(Answers::default());
    let sender = scheduler.client("m").unwrap().sender();
    for _ in 0..2000 {
        let answers = answers.clone();
        answers.asked.fetch_add(1, Ordering::SeqCst);
        let reply = Box::new(move |outcome| answers.note(&outcome));
        sender.submit(Request::new(Arc::default(), reply));
    }
    let one = CpuSet::single(all.lowest().unwrap());
    cpuset.write("cpuset.cpus", &one.to_string()).unwrap();
    until(&scheduler, "narrowed", |view| view.row.cores == one && view.actual.cores == one);
    until(&scheduler, "concurrency lowered", |view| view.row.concurrency == 1);
    cpuset.write("cpuset.cpus", &all.to_string()).unwrap();
    until(&scheduler, "widened", |view| view.row.cores == all && view.actual.cores == all);
    let start = Instant::now();
    while !answers.all() {
        assert!(start.elapsed() < PATIENCE, "{answers:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(answers.completed.load(Ordering::SeqCst), 2000);
    assert_eq!(scheduler.journal().len(), 2);
    println!("the cpuset changed {all} -> {one} -> {all}");
}
