//! Tests of recordings of live requests.

use super::*;
use crate::engine::npy::read_requests;
use crate::engine::{ElementType, Signature, Tensor, TensorData, TensorSpec};

fn request(values: &[i64]) -> Arc<Vec<NamedTensor>> {
    let tensor = Tensor::new(vec![values.len()], TensorData::I64(values.to_vec())).unwrap();
    Arc::new(vec![NamedTensor { name: "x".into(), tensor }])
}

fn signature() -> Signature {
    let input = TensorSpec { name: "x".to_owned(), element: ElementType::I64, dims: None };
    Signature { inputs: vec![input], outputs: Vec::new() }
}

/// Sends a request as a caller does, and waits for its answer.
fn send(rig: &TestPool, inputs: Arc<Vec<NamedTensor>>) {
    let (sender, outcomes) = mpsc::channel();
    let reply = Box::new(move |outcome| drop(sender.send(outcome)));
    rig.pool.client().sender().submit(Request::new(inputs, reply));
    assert_eq!(kinds(&outcomes), HashMap::from([("completed", 1)]));
}

fn options(folder: &tempfile::TempDir, requests: usize) -> RecordingOptions {
    RecordingOptions { file: folder.path().join("live.npz"), requests }
}

/// Starts a recording of a model that serves.
fn start(requests: usize) -> (TestPool, tempfile::TempDir, RunningRecording) {
    let (rig, folder) = (rig(QueuePolicy::default()), tempfile::tempdir().unwrap());
    rig.serve(1, ONE);
    let recording = rig.pool.client().record(options(&folder, requests)).unwrap();
    (rig, folder, recording)
}

fn recorded(folder: &tempfile::TempDir) -> Vec<Vec<NamedTensor>> {
    read_requests(&options(folder, 1).file, &signature()).unwrap().requests
}

#[test]
fn recording_holds_the_first_requests() {
    let (rig, folder, recording) = start(2);
    for value in 1..=3 {
        send(&rig, request(&[value]));
    }
    let report = recording.stop().unwrap();
    assert_eq!((report.requests, report.shapes), (2, 1));
    assert_eq!(recorded(&folder), [(*request(&[1])).clone(), (*request(&[2])).clone()]);
}

#[test]
fn every_shape_is_recorded() {
    let (rig, folder, recording) = start(9);
    let all: [&[i64]; 3] = [&[1, 2], &[3], &[4, 5]];
    for values in all {
        send(&rig, request(values));
    }
    let report = recording.stop().unwrap();
    assert_eq!((report.requests, report.shapes), (3, 2));
    assert!(report.to_string().starts_with("3 requests of 2 shapes recorded"), "{report}");
    assert_eq!(recorded(&folder), all.map(|values| (*request(values)).clone()));
}

#[test]
fn recording_goes_on_in_the_next_pool() {
    let (old, folder, recording) = start(9);
    send(&old, request(&[1]));
    let new = rig(QueuePolicy::default());
    new.serve(1, ONE);
    new.pool.continue_recording(&old.pool);
    assert!(old.pool.drain(PATIENCE));
    send(&new, request(&[2]));
    let second = RecordingOptions { file: folder.path().join("second.npz"), requests: 1 };
    let error = new.pool.client().record(second.clone()).err().unwrap();
    assert_eq!(error, RecordingError::AlreadyRecording);
    assert_eq!(recording.stop().unwrap().requests, 2);
    assert_eq!(recorded(&folder).len(), 2);
    assert!(new.pool.client().record(second).is_ok());
}

#[test]
fn built_in_load_is_not_recorded() {
    let (rig, folder, recording) = start(9);
    assert_eq!(kinds(&rig.submit_each([request(&[7])])), HashMap::from([("completed", 1)]));
    let error = recording.stop().unwrap_err();
    assert_eq!(error, RecordingError::Empty { file: options(&folder, 9).file });
}

#[test]
fn second_recording_of_a_model_is_refused() {
    let (rig, folder, recording) = start(9);
    let second = RecordingOptions { file: folder.path().join("second.npz"), requests: 1 };
    let error = rig.pool.client().record(second.clone()).err().unwrap();
    assert_eq!(error, RecordingError::AlreadyRecording);
    drop(recording);
    assert!(rig.pool.client().record(second).is_ok(), "the first one has been stopped");
}

#[test]
fn existing_file_is_refused() {
    let (rig, folder) = (rig(QueuePolicy::default()), tempfile::tempdir().unwrap());
    let options = options(&folder, 1);
    std::fs::write(&options.file, "mine").unwrap();
    let error = rig.pool.client().record(options.clone()).err().unwrap().to_string();
    assert!(error.contains("it exists already; remove it"), "{error}");
    assert_eq!(std::fs::read(&options.file).unwrap(), b"mine");
}

#[test]
fn file_that_cannot_be_written_costs_no_request() {
    let (rig, folder, recording) = start(9);
    send(&rig, request(&[1]));
    // Another program takes the name.
    std::fs::create_dir(options(&folder, 9).file).unwrap();
    let error = recording.stop().unwrap_err().to_string();
    assert!(error.starts_with("cannot write "), "{error}");
    send(&rig, request(&[2]));
}

#[test]
fn removed_model_ends_its_recording() {
    let (rig, folder, recording) = start(9);
    send(&rig, request(&[1]));
    assert!(rig.pool.drain(PATIENCE));
    rig.until("the file to be written", |_| recording.has_ended());
    assert_eq!(recorded(&folder).len(), 1);
}
