//! Tests of waiting requests: their order, their deadlines and callers that go away.

use super::*;

impl TestPool {
    /// Submits one request per item and returns the receiver of their positions, in order of the answers.
    fn submit_with(&self, options: &[RequestOptions]) -> mpsc::Receiver<usize> {
        let (sender, answered) = mpsc::channel();
        for (at, options) in options.iter().enumerate() {
            let sender = sender.clone();
            let reply = Box::new(move |_| sender.send(at).unwrap_or_default());
            let request = Request::new(Arc::default(), reply).with_options(*options);
            self.pool.sender().submit(request);
        }
        answered
    }
}

fn urgent(priority: i8) -> RequestOptions {
    RequestOptions { priority: Priority(priority), ..RequestOptions::default() }
}

#[test]
fn higher_priorities_run_first() {
    let rig = rig(QueuePolicy::default());
    let answered = rig.submit_with(&[0, 3, -1, 3, 0].map(urgent));
    rig.serve(1, ONE);
    let order: Vec<usize> = answered.iter().take(5).collect();
    assert_eq!(order, [1, 3, 0, 4, 2]);
}

#[test]
fn request_expires_while_it_waits() {
    let rig = rig(QueuePolicy::default());
    let late = RequestOptions { deadline: Some(Instant::now()), ..RequestOptions::default() };
    let answered = rig.submit_with(&[urgent(0), late]);
    rig.pool.expire(Instant::now());
    assert_eq!(answered.recv_timeout(PATIENCE), Ok(1));
    let counts = rig.pool.counts();
    assert_eq!((counts.timed_out, counts.queued), (1, 1));
}

#[test]
fn dropped_request_leaves_the_queue() {
    let rig = rig(QueuePolicy::default());
    let pending = rig.pool.client().submit(Arc::default());
    assert_eq!(rig.pool.counts().queued, 1);
    drop(pending);
    let counts = rig.pool.counts();
    assert_eq!((counts.cancelled, counts.queued), (1, 0));
}
