//! Output of commands.

use super::super::line_limit::MOST_LINES;
use super::*;

#[test]
fn output_reaches_the_log() {
    let script = "echo one; echo two >&2; printf three";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    assert_eq!(started.wait_for_end(), "exit code 0");
    assert!(started.command.end(Duration::ZERO));
    assert_eq!(*started.lines.lock().unwrap(), ["x: one", "x: two", "x: three"]);
}

#[test]
fn renamed_row_names_its_output() {
    let script = "read line; echo never";
    let started = TestCommand::start(&shell(script, RestartPolicy::Always));
    // its standard input is empty, so it goes on
    started.wait_for_line("x: never");
    started.command.rename("y");
    started.wait_for_restart();
    started.clock.advance(Duration::from_secs(1));
    started.wait_for_line("y: never");
}

#[test]
fn flood_of_lines_is_limited() {
    let script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; sleep 600";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    wait_until("lines are left out", || {
        started.lines.lock().unwrap().iter().any(|line| line.ends_with("lines left out"))
    });
    started.wait_for_root();
    assert!(started.command.end(Duration::from_secs(10)));
    let lines = started.lines.lock().unwrap();
    let left_out = lines.iter().filter_map(|line| line.strip_suffix(" lines left out"));
    let left_out: usize =
        left_out.map(|line| line.strip_prefix("x: ").unwrap().parse::<usize>().unwrap()).sum();
    let passed = lines.iter().filter(|line| !line.ends_with("left out")).count();
    assert_eq!(passed + left_out, 3000);
    assert!(passed >= MOST_LINES as usize);
}

#[test]
fn endless_flood_can_be_ended() {
    let started = TestCommand::start(&shell("yes", RestartPolicy::Never));
    started.wait_for_line("x: y");
    assert!(started.command.end(Duration::from_secs(10)));
}

#[test]
fn held_pipe_does_not_delay_the_end() {
    // the second process keeps the pipe open, and is found
    let script = "sleep 600 & echo left $!";
    let started = TestCommand::start(&shell(script, RestartPolicy::Never));
    let left = started.wait_for_pid("x: left ");
    wait_until("its parent has ended", || started.command.root().is_none());
    assert!(started.command.end(Duration::from_secs(10)));
    assert!(!lives(left));
}

#[test]
fn blocked_log_does_not_block_the_command() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let records = CommandRecords::open(None, "test");
    let blocking = gate.clone();
    let log = OutputLog(Arc::new(move |_, _| drop(blocking.lock())));
    let context = CommandContext { log, ..CommandContext::new(records, ProcessEnd::Restore) };
    // more than a pipe and the waiting lines hold
    let script = "i=0; while [ $i -lt 20000 ]; do echo a line of some length $i; i=$((i+1)); done";
    let command = StartedCommand::new("x", &shell(script, RestartPolicy::Never), &context);
    command.set_mask(allowed());
    let ended = ProcessState::Ended { ended: "exit code 0".to_owned() };
    wait_until("it has written all", || command.state() == ended);
    drop(held);
    assert!(command.end(Duration::ZERO));
}
