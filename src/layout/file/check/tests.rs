//! Faults and warnings of whole layouts on a machine.

use crate::layout::Warning;
use crate::layout::file::{Document, FileCheck, Origin};
use crate::machine::{Description, Gpu, Gpus};

fn document(rows: &[&str]) -> Document {
    use std::fmt::Write as _;
    let mut text = "version = 1\n".to_owned();
    for (index, row) in rows.iter().enumerate() {
        write!(text, "[[model]]\nname = \"m{index}\"\npath = \"embedded:ranker.onnx\"\n{row}\n")
            .unwrap();
    }
    Document::parse(&text, &Origin::Embedded("test".into()), FileCheck::Required).unwrap()
}

fn faults(rows: &[&str], machine: &Description) -> Vec<String> {
    let faults = document(rows).check(machine).unwrap_err();
    faults.faults().iter().map(|fault| fault.message.clone()).collect()
}

fn warnings(rows: &[&str], cores: usize) -> Vec<String> {
    let warnings = document(rows).check(&Description::uniform(cores)).unwrap();
    warnings.into_iter().map(|Warning(fault)| fault.message).collect()
}

#[test]
fn excess_memory_budgets_are_a_warning() {
    let machine = |memory, installed| {
        let mut machine = Description::uniform(4);
        machine.limits.memory = memory;
        machine.limits.installed = installed;
        machine
    };
    let rows = document(&["memory = \"3GiB\"", "", "memory = \"2GiB\""]);
    let messages = |machine: &Description| {
        let warnings = rows.check(machine).unwrap();
        warnings.into_iter().map(|Warning(fault)| fault.message).collect::<Vec<_>>()
    };
    let container = machine(Some(4 << 30), Some(64 << 30));
    let message = "the memory budgets add up to 5GiB, but the container may use 4.0 GiB";
    assert_eq!(messages(&container), [message]);
    let small = machine(Some(64 << 30), Some(4 << 30));
    assert_eq!(messages(&small), [message.replace("the container may use", "this machine has")]);
    for enough in [machine(Some(5 << 30), None), machine(None, Some(8 << 30)), machine(None, None)]
    {
        assert!(messages(&enough).is_empty());
    }
}

#[test]
fn missing_or_small_gpu_is_a_fault() {
    let mut machine = Description::uniform(4);
    let absent = "gpu = 9";
    assert!(document(&[absent]).check(&machine).unwrap().is_empty(), "the GPUs are not known");
    machine.gpus.note = Some("no NVIDIA GPU".to_owned());
    let warnings = document(&[absent]).check(&machine).unwrap();
    assert_eq!(warnings[0].0.message, "no information about GPU 9: no NVIDIA GPU");
    assert_eq!((warnings[0].0.line, warnings[0].0.column), (Some(5), Some(7)));
    let gpu = Gpu { name: "L4".into(), memory: Some(24 << 30), ..Gpu::default() };
    machine.gpus = Gpus { devices: vec![gpu], note: None };
    assert_eq!(
        faults(&[absent, "gpu = 0\ngpu_memory = \"25GiB\""], &machine),
        [
            "there is no GPU 9: this machine has 0 (L4, )",
            "a limit of 25GiB exceeds the memory of GPU 0, 24.0 GiB"
        ]
    );
    let half = "gpu = 0\ngpu_memory = \"16GiB\"";
    let warnings = document(&[half, half, ""]).check(&machine).unwrap();
    let message = "the memory limits on GPU 0 add up to 32GiB, but it has 24.0 GiB";
    assert_eq!(warnings[0].0.message, message);
    assert_eq!(warnings[0].0.line, Some(11), "the last one that adds to it");
}

#[test]
fn name_of_a_server_path_is_a_warning() {
    let document = |name: &str| {
        let row = format!("name = \"{name}\"\npath = \"embedded:ranker.onnx\"\n");
        let text = format!("version = 1\n[[model]]\n{row}");
        Document::parse(&text, &Origin::Embedded("test".into()), FileCheck::Required).unwrap()
    };
    let machine = Description::uniform(4);
    let warnings = document("stats").check(&machine).unwrap();
    assert!(warnings[0].0.message.contains("/v2/models/stats"), "{warnings:?}");
    assert_eq!(warnings[0].0.line, Some(3));
    assert_eq!(document("statistics").check(&machine).unwrap(), []);
}

#[test]
fn missing_cores_are_a_fault() {
    let machine = Description::uniform(4);
    assert_eq!(
        faults(&["cores = \"2-7\"", "cores = 5"], &machine),
        ["this machine has no CPU 4-7; it has 0-3", "5 cores are more than the 4 of this process"]
    );
    let mut limited = Description::uniform(4);
    limited.limits.allowed = "0-1".parse().unwrap();
    assert_eq!(
        faults(&["cores = \"1-2\""], &limited),
        ["this process may not use CPU 2; it is allowed on 0-1"]
    );
}

#[test]
fn colliding_reserves_are_a_fault() {
    let machine = Description::uniform(8);
    let reserved = "cores = \"0-3\"\nreserve = true";
    assert_eq!(
        faults(&[reserved, "cores = \"3-4\"\nreserve = true"], &machine),
        ["`m0` and `m1` both reserve CPU 3"]
    );
    assert_eq!(
        faults(&["cores = \"2-5\"", reserved], &machine),
        ["`m0` lists CPU 2-3, which `m1` reserves"]
    );
    assert_eq!(warnings(&["cores = \"0-3\"", "cores = \"2-5\""], 8), Vec::<String>::new());
    let five = "cores = 5\nreserve = true";
    assert_eq!(
        faults(&[five, five], &machine),
        ["the models reserve 10 cores in sum, but this process has 8"]
    );
    assert_eq!(
        faults(&["cores = \"100%\"\nreserve = true", ""], &machine),
        ["the other models reserve all 8 cores; no core is left for `m1`"]
    );
    assert_eq!(
        faults(&["cores = \"0-5\"", "cores = 3\nreserve = true"], &machine),
        ["3 cores are to be reserved besides the listed CPUs, but those leave 2"]
    );
}

#[test]
fn weights_allow_sharing_without_a_warning() {
    let rows = ["cores = 3", "cores = 2\nweight = 2"];
    assert_eq!(warnings(&rows, 4), Vec::<String>::new());
}

#[test]
fn absurd_threads_are_a_warning() {
    let instances = ["cores = 2\nconcurrency = 1000"];
    assert_eq!(
        warnings(&instances, 4),
        ["1000 instances of 1 thread on 2 cores: 500 threads per core"]
    );
    let threads = ["cores = 2\nthreads = 1000"];
    assert_eq!(
        warnings(&threads, 4),
        ["1 instance of 1000 threads on 2 cores: 500 threads per core"]
    );
}

#[test]
fn oversubscription_is_a_warning() {
    assert_eq!(warnings(&["cores = 2\nthreads = 4"], 4), ["4 threads per instance on 2 cores"]);
    assert_eq!(
        warnings(&["cores = 2\nthreads = 2\nconcurrency = 3"], 4),
        ["oversubscribed: 3 instances of 2 threads each on 2 cores"]
    );
    assert_eq!(
        warnings(&["cores = \"75%\"", "cores = \"50.5%\""], 4),
        ["the shares of all models add up to 125.5%"]
    );
    assert_eq!(
        warnings(&["cores = 3", "cores = 2"], 4),
        ["the models ask for 5 cores, but this process has 4"]
    );
    assert_eq!(warnings(&["cores = 2", "cores = \"50%\""], 4), Vec::<String>::new());
}
