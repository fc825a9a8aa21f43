//! Parsing of texts; `tests/layouts.rs` has whole files.

use std::time::Duration;

use crate::layout::file::{Document, Faults, FileCheck, Origin, keys};
use crate::layout::{
    Auto, Bytes, CoreRequest, GpuId, InputSpec, LoadSpec, ModelSource, Overflow, ServerKeys, Slo,
};

fn row(fields: &str) -> Result<Document, Faults> {
    let text = format!(
        "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n{fields}\n"
    );
    Document::parse(&text, &Origin::Embedded("test".into()), FileCheck::Required)
}

fn messages(faults: &Faults) -> Vec<String> {
    faults.faults().iter().map(|fault| fault.message.clone()).collect()
}

#[test]
fn every_key_sets_its_field() {
    let document = row(r#"
engine = "onnxruntime"
cores = "0-2,4"
reserve = true
threads = 2
concurrency = 3
objective = "latency"
spinning = false
weight = 3
memory = "1.5GiB"
gpu = 2
gpu_memory = "4GiB"
queue = { limit = 1_000_000, timeout = "1.5s", overflow = "block", levels = 100 }
version = "3"
slo = { "p99.9" = "20ms" }
load = { kind = "closed", clients = 4, think = "10ms" }
dims = { batch = 1, seq = 128 }
inputs.ids = { range = [0, 1e3] }
inputs.mask = { zeros = true }
paused = true
"#)
    .unwrap();
    let model = document.layout().model("a").unwrap();
    assert_eq!(model.source, ModelSource::Embedded("ranker.onnx".into()).into());
    assert_eq!(model.cores, CoreRequest::List("0-2,4".parse().unwrap()));
    assert!(model.reserve && model.paused);
    assert_eq!((model.threads, model.concurrency), (Auto::Exactly(2), Auto::Exactly(3)));
    assert_eq!((model.spinning, model.weight), (Some(false), 3));
    assert_eq!(model.memory.unwrap().0, 3 << 29);
    assert_eq!((&model.gpu, model.gpu_memory), (&Some(GpuId::Index(2)), Some(Bytes(4 << 30))));
    assert_eq!(model.queue.limit, 1_000_000);
    assert_eq!(model.queue.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(model.queue.overflow, Overflow::Block);
    assert_eq!((model.version.as_str(), model.queue.levels), ("3", 100));
    assert_eq!(model.slo, Some(Slo { percentile: 99.9, bound: Duration::from_millis(20) }));
    let closed = LoadSpec::Closed { clients: 4, think: Duration::from_millis(10) };
    assert_eq!(model.load, Some(closed));
    assert_eq!(model.dims.get("seq"), Some(&128));
    assert_eq!(model.inputs.get("ids"), Some(&InputSpec::Range(0.0, 1000.0)));
    assert_eq!(model.inputs.get("mask"), Some(&InputSpec::Zeros));
}

/// A layout with these lines in its `[server]`.
fn server(lines: &str) -> Result<Document, Faults> {
    let row = "[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\n";
    let text = format!("version = 1\n[server]\n{lines}\n{row}");
    Document::parse(&text, &Origin::Embedded("test".into()), FileCheck::Required)
}

#[test]
fn every_server_key_sets_its_limit() {
    let document = server(
        r#"
max_body = "1MiB"
max_header = "8KiB"
max_connections = 10
max_in_flight = "2MiB"
receive_timeout = "1s"
send_timeout = "2s"
idle_timeout = "3s"
"#,
    )
    .unwrap();
    let seconds = |count| Some(Duration::from_secs(count));
    let expected = ServerKeys {
        max_body: Some(Bytes(1 << 20)),
        max_header: Some(Bytes(8 << 10)),
        max_connections: Some(10),
        max_in_flight: Some(Bytes(2 << 20)),
        receive_timeout: seconds(1),
        send_timeout: seconds(2),
        idle_timeout: seconds(3),
    };
    assert_eq!(document.server(), &expected);
    assert_eq!(expected.texts().len(), keys::SERVER.len());
}

#[test]
fn bad_limits_have_faults_with_lines() {
    for (line, message) in [
        ("max_body = 5", "`max_body` is an integer"),
        ("max_header = \"2MiB\"", "`max_header` is out of range"),
        ("max_connections = 0", "`max_connections` must be 1 or more"),
        ("max_in_flight = \"1MiB\"", "`max_in_flight` is 1MiB, less than the largest body (64MiB)"),
        ("idle_timeout = \"1ms\"", "`idle_timeout` is out of range"),
        ("max_bodi = \"1MiB\"", "unknown key `max_bodi` in `server`"),
        ("listen = \"8000\"", "`listen` cannot be set in a layout: only the command line can"),
    ] {
        let faults = server(line).unwrap_err();
        assert_eq!(
            (messages(&faults), faults.faults()[0].line),
            (vec![message.to_owned()], Some(3))
        );
        assert!(faults.faults()[0].help.is_some(), "{message}");
    }
    let help = server("listen_grpc = \"8001\"").unwrap_err().faults()[0].help.clone().unwrap();
    assert!(help.contains("`--listen-grpc`"), "{help}");
}

#[test]
fn every_known_key_is_parsed() {
    // a date is valid for no key, so every key that is parsed has a fault
    for key in keys::MODEL.iter().filter(|key| !["name", "path"].contains(key)) {
        let faults = row(&format!("{key} = 1979-05-27")).unwrap_err();
        assert_eq!(faults.faults().len(), 1, "{key}: {faults}");
        assert!(!faults.faults()[0].message.contains("unknown key"), "{key}: {faults}");
    }
    for (place, known) in [("queue", keys::QUEUE), ("slo", keys::SLO), ("inputs.x", keys::INPUT)] {
        for key in known {
            let faults = row(&format!("{place} = {{ \"{key}\" = 1979-05-27 }}")).unwrap_err();
            assert!(!messages(&faults).iter().any(|text| text.contains("unknown")), "{faults}");
        }
    }
    for (kind, known) in keys::LOADS {
        for key in known.iter().filter(|key| **key != "kind") {
            let text = format!("load = {{ kind = \"{kind}\", {key} = 1979-05-27 }}");
            let faults = row(&text).unwrap_err();
            assert!(faults.faults().iter().any(|fault| fault.text == "1979-05-27"), "{faults}");
        }
    }
}

#[test]
fn reports_all_faults() {
    let faults = row("cores = \"3-1\"\nthreads = 0\nconcurrency = 0\nborrow = true\nqeue = 1\nslo = { p99 = \"20 parsecs\" }\nload = { kind = \"poisson\", rate = nan }").unwrap_err();
    assert_eq!(
        messages(&faults),
        [
            "bad CPU list: the range `3-1` runs backwards: write the lower CPU first",
            "`threads` must be 1 or more",
            "`concurrency` must be 1 or more",
            "`borrow` is not available in this version of divvy",
            "unknown key `qeue` in a model",
            "`p99`: unknown unit `parsecs`: use us, ms, s, m or h",
            "`rate` is not a number",
        ]
    );
    let lines: Vec<usize> = faults.faults().iter().filter_map(|fault| fault.line).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(faults.faults()[4].help.as_deref(), Some("did you mean `queue`?"));
}

#[test]
fn rejects_keys_of_later_versions() {
    for key in keys::LATER {
        let faults = row(&format!("{key} = 1")).unwrap_err();
        let want = format!("`{key}` is not available in this version of divvy");
        assert_eq!(messages(&faults), [want]);
    }
}

#[test]
fn reports_all_syntax_faults() {
    let text = "version = 1\ndescription = \nmodel = 3\nx = = 2\n";
    let faults =
        Document::parse(text, &Origin::Embedded("test".into()), FileCheck::Required).unwrap_err();
    let lines: Vec<usize> = faults.faults().iter().filter_map(|fault| fault.line).collect();
    assert!(lines.contains(&2) && lines.contains(&3) && lines.contains(&4), "{faults}");
}
