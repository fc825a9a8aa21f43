//! Requests over HTTP: bodies in JSON, and with binary tensors.

use axum::http::Request;
use serde_json::Value;

use crate::echo::{Answer, EchoServer, MODEL};
use crate::tensors::{
    DATATYPES, PlainTensor, element_size, random_bytes, random_element, random_shape, read,
};

/// The header with the length of the JSON part, if binary tensors follow it.
const HEAD_LENGTH: &str = "inference-header-content-length";

/// The statuses of a damaged request. 500 is none: nothing that a client sends makes a model fail.
const STATUSES: [u16; 5] = [200, 400, 413, 501, 504];

/// Pieces that change the meaning of a body.
pub(crate) const PIECES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e999",
    "0.5",
    "18446744073709551616",
    "9223372036854775807",
    "\\ud800",
    "\u{0}",
    "\u{fffd}",
    "\"data\":[1],",
    "\"shape\":[1],",
    "\"shape\":[4294967296,4294967296],",
    "\"name\":\"x\",",
    "\"datatype\":\"BYTES\",",
    "\"datatype\":\"FP16\",",
    "\"parameters\":{\"binary_data_size\":4},",
    "\"parameters\":{\"binary_data_output\":true},",
    "\"outputs\":[{\"name\":\"x\"}],",
    "\"timeout\":1,",
    "\"sequence_id\":1,",
    "\"classification\":1,",
    "\"shared_memory_region\":\"r\",",
];

/// A body as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct HttpCase {
    pub body: Vec<u8>,
    /// The length of its JSON part, if binary tensors follow.
    pub head: Option<usize>,
    /// The value of `Content-Encoding`.
    pub encoding: Option<&'static str>,
}

impl HttpCase {
    /// Reads a file of the corpus. One with binary tensors begins with a line that has the length of the JSON.
    pub(crate) fn from_file(name: &str, content: &[u8]) -> Self {
        let encoding = [(".gz", "gzip"), (".zz", "deflate")]
            .into_iter()
            .find_map(|(end, encoding)| name.ends_with(end).then_some(encoding));
        if !name.contains(".bin") {
            return Self { body: content.to_vec(), head: None, encoding };
        }
        let end = content.iter().position(|byte| *byte == b'\n').unwrap();
        let head = std::str::from_utf8(&content[..end]).unwrap().parse().unwrap();
        Self { body: content[end + 1..].to_vec(), head: Some(head), encoding }
    }

    /// Returns a random request that is right, mostly.
    pub(crate) fn random(random: &mut fastrand::Rng, is_binary: bool) -> Self {
        let (mut inputs, mut rest) = (Vec::new(), Vec::new());
        let names = ["x", "gr\u{f6}\u{df}e", ""];
        for own in names.into_iter().take(random.usize(0..4)) {
            let name = if random.u8(0..50) == 0 { "x" } else { own };
            let raw = (is_binary && random.u8(0..4) > 0).then_some(&mut rest);
            inputs.push(random_input(random, name, raw));
        }
        let mut members = vec![format!("\"inputs\":[{}]", inputs.join(","))];
        if random.bool() {
            members.push(format!("\"id\":\"{}\"", random.u32(..)));
        }
        if random.bool() {
            members.push(format!("\"parameters\":{{{}}}", random_parameters(random)));
        }
        if random.u8(0..3) == 0 {
            let parameters = ["", ",\"parameters\":{\"binary_data\":true}"][random.usize(..2)];
            members.push(format!("\"outputs\":[{{\"name\":\"x\"{parameters}}}]"));
        }
        random.shuffle(&mut members);
        let mut body = format!("{{{}}}", members.join(",")).into_bytes();
        let head = is_binary.then_some(body.len());
        body.extend(rest);
        Self { body, head, encoding: None }
    }

    /// Sends the request; panics if the answer breaks a promise. Returns true if the model answered.
    pub(crate) fn examine(&self, server: &EchoServer, pieces: usize) -> bool {
        let mut request = Request::post(format!("/v2/models/{MODEL}/infer"));
        if let Some(head) = self.head {
            request = request.header(HEAD_LENGTH, head);
        }
        if let Some(encoding) = self.encoding {
            request = request.header("content-encoding", encoding);
        }
        let answer = server.http(request.body(self.body.clone()).unwrap(), pieces);
        let status = answer.status.as_u16();
        assert!(STATUSES.contains(&status), "{answer:?}");
        if status != 200 {
            let error: Value = serde_json::from_slice(&answer.body).unwrap();
            let message = error["error"].as_str().unwrap();
            assert!(!message.is_empty() && message.chars().count() < 1100, "{message}");
            return false;
        }
        let outputs = outputs_of(&answer);
        if self.encoding.is_none()
            && let Some((inputs, wanted)) = self.inputs()
        {
            let right: Vec<PlainTensor> = match wanted.as_slice() {
                [] => inputs,
                wanted => wanted.iter().map(|name| named(&inputs, name)).collect(),
            };
            assert_eq!(outputs, right, "{answer:?}");
        }
        true
    }

    /// Returns the inputs of an accepted request and the names of the requested outputs. `None` if its JSON
    /// has members that the protocol does not have, which the server skips, and that are no JSON.
    fn inputs(&self) -> Option<(Vec<PlainTensor>, Vec<String>)> {
        let (head, rest) = self.body.split_at(self.head.unwrap_or(self.body.len()));
        let head: Value = serde_json::from_slice(head).ok()?;
        let outputs = head.get("outputs").map_or(&[][..], |outputs| outputs.as_array().unwrap());
        let name = |output: &Value| output["name"].as_str().unwrap().to_owned();
        let wanted = outputs.iter().map(name).collect();
        Some((read(&head["inputs"], rest).expect("an accepted request is right"), wanted))
    }
}

fn named(tensors: &[PlainTensor], name: &str) -> PlainTensor {
    tensors.iter().find(|tensor| tensor.name == name).unwrap().clone()
}

/// Reads the answer of the model.
fn outputs_of(answer: &Answer) -> Vec<PlainTensor> {
    let length = answer.headers.get(HEAD_LENGTH);
    let head = length.map_or(answer.body.len(), |it| it.to_str().unwrap().parse().unwrap());
    let (head, rest) = answer.body.split_at(head);
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(
        (head["model_name"].as_str(), head["model_version"].as_str()),
        (Some(MODEL), Some("1"))
    );
    let outputs = read(&head["outputs"], rest).unwrap();
    for output in &outputs {
        let count = output.shape.iter().product::<u64>() as usize;
        if let Some(size) = element_size(&output.datatype) {
            assert_eq!(output.bytes.len(), count * size, "{answer:?}");
        }
    }
    outputs
}

/// Returns the JSON of an input. Its elements are in the JSON or appended to `raw`.
fn random_input(random: &mut fastrand::Rng, name: &str, raw: Option<&mut Vec<u8>>) -> String {
    let mut datatype = random.choice(DATATYPES).unwrap();
    if raw.is_none() && ["FP16", "BF16"].contains(&datatype) && random.u8(0..10) > 0 {
        datatype = "FP32";
    }
    let (mut shape, mut count) = random_shape(random);
    let mut members = Vec::new();
    if let Some(raw) = raw {
        let bytes = random_bytes(random, datatype, count);
        let size = bytes.len() + usize::from(random.u8(0..60) == 0);
        members.push(format!("\"parameters\":{{\"binary_data_size\":{size}}}"));
        raw.extend(bytes);
    } else {
        if random.u8(0..60) == 0 {
            count += 1;
        }
        members.push(format!("\"data\":{}", random_data(random, datatype, count)));
    }
    match random.u8(0..100) {
        0 => shape.push(-1),
        1 => shape.extend([1 << 40, 1 << 40]),
        2 => datatype = "FP8",
        _ => {}
    }
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    members.insert(0, format!("\"name\":\"{name}\""));
    members.insert(1, format!("\"datatype\":\"{datatype}\""));
    members.insert(2, format!("\"shape\":[{}]", shape.join(",")));
    if random.u8(0..4) == 0 {
        random.shuffle(&mut members);
    }
    if random.u8(0..50) == 0 {
        members.push("\"extra\":{\"a\":[1,{}]}".to_owned());
    }
    format!("{{{}}}", members.join(","))
}

/// Returns a list of elements, sometimes with lists in it.
fn random_data(random: &mut fastrand::Rng, datatype: &str, count: usize) -> String {
    let mut data = String::from("[");
    for at in 0..count {
        if at > 0 {
            data.push(',');
        }
        let element = random_element(random, datatype);
        let is_nested = random.u8(0..5) == 0;
        let (open, close) = if is_nested { ("[", "]") } else { ("", "") };
        data.extend([open, &element, close]);
    }
    data.push(']');
    data
}

fn random_parameters(random: &mut fastrand::Rng) -> &'static str {
    random
        .choice([
            "",
            "\"binary_data_output\":true",
            "\"binary_data_output\":false",
            "\"binary_data_output\":1",
            "\"timing\":true",
            "\"timeout\":1",
            "\"timeout\":10000000",
            "\"priority\":0",
            "\"priority\":1",
            "\"priority\":7",
            "\"sequence_id\":0",
            "\"sequence_id\":\"a\"",
            "\"other\":[{}]",
        ])
        .unwrap()
}
