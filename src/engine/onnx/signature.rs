//! The signature of a model, from its graph or, without reading the weights, from its file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read, Seek};

use prost::Message;

use super::proto::{GraphProto, ValueInfoProto};
use super::scan::{Scanner, Wire, WireField};
use super::source::{check_beginning, model_bytes, open_model, title};
use super::types::{self, DeclaredValue};
use crate::engine::{EngineError, Signature};
use crate::layout::ModelSource;

/// Field numbers of `onnx.proto3` that lead to a signature.
mod field {
    pub(super) const MODEL_GRAPH: u64 = 7;
    pub(super) const GRAPH_INITIALIZER: u64 = 5;
    pub(super) const GRAPH_INPUT: u64 = 11;
    pub(super) const GRAPH_OUTPUT: u64 = 12;
    pub(super) const TENSOR_NAME: u64 = 8;
}

/// The inputs and outputs of a graph as the file lists them.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    pub(super) inputs: Vec<ValueInfoProto>,
    pub(super) outputs: Vec<ValueInfoProto>,
    /// Names of the constant tensors. An input of the same name has a default value.
    pub(super) constants: BTreeSet<String>,
}

/// A signature, and the outputs that it leaves out, each with the reason.
pub(super) struct ReadSignature {
    pub(super) signature: Signature,
    pub(super) skipped_outputs: BTreeMap<String, String>,
}

/// Reads the signature of a model's file: its inputs, outputs and open dimensions. Skips weights and
/// operators, so that it takes a few milliseconds for files of any size.
///
/// # Errors
/// [`EngineError::Read`] if the file cannot be read, [`EngineError::NotOnnx`] if it is damaged or
/// not an ONNX model, [`EngineError::Unsupported`] if an input has a type that divvy cannot pass.
pub fn read_signature(source: &ModelSource) -> Result<Signature, EngineError> {
    let not_onnx = |reason: String| EngineError::NotOnnx {
        path: title(source),
        reason: format!("the file is damaged, or has another format ({reason})"),
    };
    let boundary = match source {
        ModelSource::Embedded(_) => {
            let bytes = model_bytes(source)?;
            scan(Cursor::new(&bytes), bytes.len() as u64).map_err(not_onnx)?
        }
        ModelSource::File(path) => {
            let (mut file, size): (File, u64) = open_model(path)?;
            let mut beginning = Vec::new();
            let read = |error: std::io::Error| EngineError::Read {
                path: title(source),
                reason: error.to_string(),
            };
            file.by_ref().take(64).read_to_end(&mut beginning).map_err(read)?;
            file.rewind().map_err(read)?;
            check_beginning(&beginning)
                .map_err(|reason| EngineError::NotOnnx { path: title(source), reason })?;
            scan(file, size).map_err(not_onnx)?
        }
    };
    if boundary.outputs.is_empty() {
        return Err(not_onnx("it has no graph with an output".to_owned()));
    }
    boundary.signature(&title(source)).map(|read| read.signature)
}

/// Walks through a model's file to the inputs, outputs and constants of its graph.
fn scan(file: impl Read + Seek, size: u64) -> Result<Boundary, String> {
    let mut scanner = Scanner::new(file, size);
    let mut boundary = Boundary::default();
    while let Some(outer) = scanner.next_field(size)? {
        let WireField { number: field::MODEL_GRAPH, wire: Wire::Bytes(length) } = outer else {
            scanner.skip(outer.wire)?;
            continue;
        };
        let graph_end = scanner.end_of(length)?;
        while let Some(inner) = scanner.next_field(graph_end)? {
            match inner {
                WireField { number: field::GRAPH_INPUT, wire } => {
                    boundary.inputs.push(value_info(&scanner.read(wire)?)?);
                }
                WireField { number: field::GRAPH_OUTPUT, wire } => {
                    boundary.outputs.push(value_info(&scanner.read(wire)?)?);
                }
                WireField { number: field::GRAPH_INITIALIZER, wire: Wire::Bytes(length) } => {
                    let tensor_end = scanner.end_of(length)?;
                    while let Some(part) = scanner.next_field(tensor_end)? {
                        if part.number == field::TENSOR_NAME {
                            let name = String::from_utf8(scanner.read(part.wire)?);
                            boundary.constants.insert(name.map_err(|error| error.to_string())?);
                        } else {
                            scanner.skip(part.wire)?;
                        }
                    }
                }
                other => scanner.skip(other.wire)?,
            }
        }
    }
    Ok(boundary)
}

fn value_info(bytes: &[u8]) -> Result<ValueInfoProto, String> {
    ValueInfoProto::decode(bytes).map_err(|error| error.to_string())
}

impl Boundary {
    /// Returns the boundary of a graph.
    pub(super) fn of(graph: &GraphProto) -> Self {
        Self {
            inputs: graph.input.clone(),
            outputs: graph.output.clone(),
            constants: graph.initializer.iter().map(|tensor| tensor.name.clone()).collect(),
        }
    }

    /// Returns the signature of the model named `title`: the inputs without a default value, and the
    /// outputs that are tensors.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if an input has a type that divvy cannot pass, or no output has one
    /// that it can.
    pub(super) fn signature(&self, title: &str) -> Result<ReadSignature, EngineError> {
        let unsupported = |reason: String| EngineError::Unsupported {
            engine: "divvy",
            path: title.to_owned(),
            reason: reason.into(),
        };
        let mut signature = Signature::default();
        for info in self.inputs.iter().filter(|info| !self.constants.contains(&info.name)) {
            match types::value(info) {
                DeclaredValue::Tensor(spec) => signature.inputs.push(spec),
                DeclaredValue::Other(reason) => {
                    return Err(unsupported(format!("input `{}`: {reason}", info.name)));
                }
            }
        }
        let mut skipped_outputs = BTreeMap::new();
        for info in &self.outputs {
            match types::value(info) {
                DeclaredValue::Tensor(spec) => signature.outputs.push(spec),
                DeclaredValue::Other(reason) => {
                    skipped_outputs.insert(info.name.clone(), reason);
                }
            }
        }
        if signature.outputs.is_empty() {
            let (name, reason) = skipped_outputs.into_iter().next().unwrap_or_default();
            return Err(unsupported(format!("output `{name}`: {reason}")));
        }
        Ok(ReadSignature { signature, skipped_outputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::onnx::ModelFile;

    #[test]
    fn scan_finds_the_signature_of_the_whole_file() {
        for name in ["detector.onnx", "embedder.onnx", "ranker.onnx"] {
            let source = ModelSource::Embedded(name.to_owned());
            assert_eq!(
                read_signature(&source).unwrap(),
                ModelFile::read(&source).unwrap().signature
            );
        }
    }

    #[test]
    fn every_cut_of_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.onnx");
        let whole = model_bytes(&ModelSource::Embedded("ranker.onnx".to_owned())).unwrap();
        for part in 0..32 {
            std::fs::write(&path, &whole[..whole.len() * part / 32]).unwrap();
            let error = read_signature(&ModelSource::File(path.clone())).unwrap_err();
            assert!(matches!(error, EngineError::NotOnnx { .. }), "{part}/32: {error}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        for bytes in [&b""[..], b"hello, world", b"PK\x03\x04\0\0\0\0", &[0xff; 200]] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_signature(&ModelSource::File(path.clone())).unwrap_err();
            assert!(matches!(error, EngineError::NotOnnx { .. }), "{error}");
        }
        assert!(read_signature(&ModelSource::File(folder.path().into())).is_err());
    }
}
