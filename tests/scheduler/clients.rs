//! Clients that follow a model's name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use divvy::layout::{Budget, Edit, ModelSource};
use divvy::pool::{Outcome, Rejection, Request, RequestError, RequestSender};
use divvy::scheduler::ModelClient;
use divvy::telemetry::ModelState;

use super::held_machine::HeldMachine;
use super::test_scheduler::*;

/// Runs one request without inputs and waits for its outcome.
fn infer(client: &ModelClient) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(client.infer(Arc::default()))
}

fn is_missing(outcome: &Outcome) -> bool {
    let reason = Rejection::NoSuchModel;
    matches!(&outcome.result, Err(RequestError::Rejected { reason: given }) if *given == reason)
}

fn runs(test: &TestScheduler, model: &str) -> u64 {
    test.scripts.of(model).runs.load(Ordering::SeqCst)
}

fn remove(test: &TestScheduler, model: &str) {
    test.apply(Edit::Remove { model: model.to_owned() });
}

fn add(test: &TestScheduler, budget: Budget) {
    let name = budget.name.clone();
    test.apply(Edit::Add { budget: Box::new(budget) });
    test.until(&name, |view| view.state == ModelState::Running && warm(view));
}

#[test]
fn client_rejects_while_no_model_has_the_name() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let client = test.scheduler.client("a").unwrap();
    remove(&test, "a");
    assert!(client.current().is_none());
    assert!(is_missing(&infer(&client)));
}

#[test]
fn client_serves_a_model_added_again() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let client = test.scheduler.client("a").unwrap();
    assert!(infer(&client).result.is_ok());
    remove(&test, "a");
    add(&test, row("a", "0"));
    assert!(infer(&client).result.is_ok());
}

#[test]
fn client_serves_a_model_reloaded_from_another_file() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let client = test.scheduler.client("a").unwrap();
    let before = client.current().unwrap();
    let source = ModelSource::File("/other.onnx".into());
    let next = Budget { source: source.into(), ..row("a", "0") };
    test.apply(Edit::Load { layout: Box::new(layout(vec![next, row("b", "1")])) });
    test.wait("the other file", || !client.current().unwrap().is_same_pool(&before));
    assert!(infer(&client).result.is_ok());
}

#[test]
fn client_follows_the_name_not_the_row() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let client = test.scheduler.client("a").unwrap();
    test.apply(Edit::Rename { model: "a".to_owned(), to: "old".to_owned() });
    assert!(is_missing(&infer(&client)), "no model has the name");
    test.apply(Edit::Rename { model: "b".to_owned(), to: "a".to_owned() });
    let served = runs(&test, "b");
    assert!(infer(&client).result.is_ok());
    assert_eq!(runs(&test, "b"), served + 1);
}

#[test]
fn sender_follows_the_name() {
    let test = TestScheduler::start(2, vec![row("a", "0"), row("b", "1")]);
    let sender = test.scheduler.client("a").unwrap().sender();
    remove(&test, "a");
    let missing = Arc::new(AtomicUsize::new(0));
    let counted = missing.clone();
    let reply = Box::new(move |outcome| {
        counted.fetch_add(usize::from(is_missing(&outcome)), Ordering::SeqCst);
    });
    assert!(sender.submit(Request::new(Arc::default(), reply)).is_none());
    assert_eq!(missing.load(Ordering::SeqCst), 1);
    add(&test, row("a", "0"));
    let (answers, asked) = (Arc::new(Answers::default()), runs(&test, "a"));
    let noting = answers.clone();
    answers.asked.fetch_add(1, Ordering::SeqCst);
    let reply = Box::new(move |outcome| noting.note(&outcome));
    assert!(sender.submit(Request::new(Arc::default(), reply)).is_some());
    test.wait("the answer", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), 1);
    assert!(runs(&test, "a") > asked);
}

#[test]
fn client_outlives_its_scheduler() {
    let test = TestScheduler::start(1, vec![row("a", "0")]);
    let client = test.scheduler.client("a").unwrap();
    drop(test);
    assert!(is_missing(&infer(&client)));
}

/// Submits requests until `over`, with at most 500 unanswered.
fn submit_until(over: &AtomicBool, sender: &dyn RequestSender, answers: &Arc<Answers>) {
    while !over.load(Ordering::SeqCst) {
        if answers.asked.load(Ordering::SeqCst) > answers.answered() + 500 {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let noting = answers.clone();
        answers.asked.fetch_add(1, Ordering::SeqCst);
        let reply = Box::new(move |outcome| noting.note(&outcome));
        sender.submit(Request::new(Arc::default(), reply));
    }
}

/// Sets a flag when it is dropped, so that a failed test ends its threads.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn reloads_of_a_running_model_reject_nothing() {
    let test = TestScheduler::start(1, vec![row("a", "0")]);
    let sender = test.scheduler.client("a").unwrap().sender();
    let (answers, over) = (Arc::new(Answers::default()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| submit_until(&over, &*sender, &answers));
        }
        let _end = SetOnDrop(&over);
        for at in 0..20 {
            let source = ModelSource::File(format!("/{at}.onnx").into());
            let next = Budget { source: source.into(), ..row("a", "0") };
            test.apply(Edit::Load { layout: Box::new(layout(vec![next])) });
            test.until("a", |view| view.state == ModelState::Running && warm(view));
        }
    });
    test.wait("answers", || answers.all());
    assert_eq!(answers.completed.load(Ordering::SeqCst), answers.answered(), "{answers:?}");
}

#[test]
fn old_model_serves_until_the_new_one_is_published() {
    let mut held = None;
    let test = TestScheduler::start_with(1, vec![row("a", "0")], &["a".to_owned()], |options| {
        held = Some(HeldMachine::install(options));
    });
    let held = held.unwrap();
    test.until("a", |view| view.actual.active == 1 && warm(view));
    let client = test.scheduler.client("a").unwrap();
    {
        let _hold = held.hold();
        // The scheduler places the new model's threads once it has replaced the old one, and is held
        // there, before it publishes that.
        let source = ModelSource::File("/other.onnx".into());
        let next = Budget { source: source.into(), ..row("a", "0") };
        test.apply(Edit::Load { layout: Box::new(layout(vec![next])) });
        test.wait("the hold", || held.is_held());
        for _ in 0..100 {
            assert!(infer(&client).result.is_ok(), "clients still find the old model");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    test.until("a", |view| view.state == ModelState::Running && warm(view));
    assert!(infer(&client).result.is_ok());
}
