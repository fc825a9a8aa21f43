//! Tests of sampling real processes.

use super::support::{Cpus, Program, host, options, row, wait_for};
use crate::machine::CpuSet;

#[test]
fn view_describes_the_process() {
    let mut program = Program::start();
    program.run("thread(2)");
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    let view = row.sample().view;
    assert_eq!(view.selector, format!("pid {}", program.pid()));
    assert_eq!((view.process_count, view.thread_count), (1, 3));
    assert!(view.rss_bytes > 1 << 20 && view.started_unix_ms.is_some_and(|at| at > 1_000_000));
    let entry = &view.processes[0];
    assert!(entry.command.contains("python3 -u -c ") && !entry.user.is_empty(), "{entry:?}");
    assert_eq!((entry.pid, entry.parent), (program.pid(), std::process::id() as i32));
}

#[test]
fn cpu_time_is_found_on_its_core() {
    let Some(cpus) = Cpus::find() else { return };
    let mut program = Program::start();
    program
        .run("threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()");
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    assert!(row.sample().used.wait.is_none(), "no budget, no waiting time");
    row.set_budget(&cpus.first);
    row.pin(cpus.first);
    let core = cpus.first.lowest().unwrap();
    wait_for("CPU time on its core", || {
        let used = row.sample().used;
        used.wait.is_some() && used.by_core.get(&core).is_some_and(|time| time.cpu > 0.0)
    });
    wait_for("its busiest thread", || {
        let used = row.sample().used;
        used.cores == cpus.first && used.threads.first().is_some_and(|thread| thread.helper)
    });
}

#[test]
fn children_that_have_ended_count() {
    let mut program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    let burn =
        "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass";
    program.run(&format!("[subprocess.run(['python3', '-c', {burn:?}]) for _ in range(6)]"));
    wait_for("their CPU time", || row.sample().used.cpu_total_us > 250_000);
    wait_for("their end", || row.members().len() == 1);
}

#[test]
fn forks_neither_blind_nor_leak() {
    let mut program = Program::start();
    let host = host(options());
    let row = row(&host, &program.source(), 1);
    program.run(
        "kept.append(subprocess.Popen(['sh', '-c', \
         'i=0; while [ $i -lt 3000 ]; do /bin/true; i=$((i+1)); done']))",
    );
    wait_for("the shell", || row.members().len() >= 2);
    let mut samples = 0;
    let mut last = row.sample().view;
    wait_for("samples during the forks", || {
        let view = row.sample().view;
        samples += usize::from(!std::sync::Arc::ptr_eq(&view, &last));
        last = view;
        samples >= 5
    });
    program.run("kept[-1].wait()");
    wait_for("their end", || row.members().len() == 1);
}

#[test]
fn others_are_listed_with_reasons() {
    let program = Program::start();
    let host = host(options());
    let own = std::process::id() as i32;
    wait_for("the others", || !host.others().busiest.is_empty());
    let others = host.others();
    assert!(others.busiest.iter().all(|other| other.process.pid != own));
    let first = others.busiest.iter().find(|other| other.process.pid == 1);
    assert!(first.is_none_or(|first| first.refused.is_some()));
    let row = row(&host, &program.source(), 1);
    let is_listed = || host.others().busiest.iter().any(|it| it.process.pid == program.pid());
    wait_for("its absence", || !is_listed());
    row.release(std::time::Duration::ZERO);
}

#[test]
fn others_on_reserved_cores_are_marked() {
    let Some(cpus) = Cpus::find() else { return };
    let mut program = Program::start();
    program
        .run("threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()");
    let host = host(options());
    host.set_reserved(cpus.first);
    let is_marked = |expected: bool| {
        let others = host.others();
        let found = others.busiest.iter().find(|it| it.process.pid == program.pid());
        found.is_some_and(|found| found.on_reserved == expected)
    };
    wait_for("the mark", || is_marked(true));
    host.set_reserved(CpuSet::EMPTY);
    wait_for("no mark", || is_marked(false));
}
