//! A client over HTTP/1.1 that keeps its connection.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use divvy::telemetry::Protocol;
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::exchange::{Reply, Run, TestRequest};

/// The form of the tensors of a request and of its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Binary,
}

/// Sends requests one after another until the run ends.
pub(crate) fn send(run: &Run, address: SocketAddr, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    while let Some(request) = run.next_request(&mut random) {
        let form = if random.bool() { Form::Json } else { Form::Binary };
        stream.get_mut().write_all(&message(&request, form)).unwrap();
        let reply = read_reply(&mut stream, form);
        run.count(&request, Protocol::Http, &reply);
    }
    // A second answer to a request would still be there.
    stream.get_ref().set_nonblocking(true).unwrap();
    let rest = stream.fill_buf().map(<[u8]>::to_vec);
    assert_eq!(rest.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

fn message(request: &TestRequest, form: Form) -> Vec<u8> {
    let values = request.values();
    let mut input = json!({"name": "x", "datatype": "FP32", "shape": [values.len()]});
    let mut parameters = json!({"binary_data_output": form == Form::Binary});
    let mut binary = Vec::new();
    if form == Form::Binary {
        binary = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        input["parameters"] = json!({"binary_data_size": binary.len()});
    } else {
        input["data"] = json!(values);
    }
    if let Some(timeout) = request.timeout() {
        parameters["timeout"] = json!(timeout);
    }
    let head = json!({"id": request.id(), "parameters": parameters, "inputs": [input]}).to_string();
    let length = match form {
        Form::Json => String::new(),
        Form::Binary => format!("Inference-Header-Content-Length: {}\r\n", head.len()),
    };
    let lines = format!(
        "POST /v2/models/{}/infer HTTP/1.1\r\nHost: divvy\r\nContent-Length: {}\r\n{length}\r\n",
        request.model,
        head.len() + binary.len()
    );
    [lines.as_bytes(), head.as_bytes(), &binary].concat()
}

/// Reads exactly one answer.
fn read_reply(stream: &mut BufReader<TcpStream>, form: Form) -> Reply {
    let (mut status, mut body_length, mut head_length) = (0, 0, None);
    for number in 0.. {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if number == 0 {
            status = line.split(' ').nth(1).unwrap().parse().unwrap();
        } else if let Some(length) = line.strip_prefix("content-length: ") {
            body_length = length.parse().unwrap();
        } else if let Some(length) = line.strip_prefix("inference-header-content-length: ") {
            head_length = Some(length.parse().unwrap());
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; body_length];
    stream.read_exact(&mut body).unwrap();
    let (head, binary) = body.split_at(head_length.unwrap_or(body_length));
    let head: Value = serde_json::from_slice(head).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if status != 200 {
        return Reply::Refusal { status: Some(status), message: text(&head["error"]) };
    }
    let output = &head["outputs"][0];
    let values = match form {
        Form::Json => serde_json::from_value(output["data"].clone()).unwrap(),
        Form::Binary => crate::floats(binary),
    };
    assert_eq!((&output["name"], &output["shape"]), (&json!("y"), &json!([values.len()])));
    Reply::Answer { id: text(&head["id"]), model: text(&head["model_name"]), values }
}
