//! Reads a model's file without an engine: the data that `divvy inspect` prints and that synthetic
//! inputs need, and the faults that can be found without an engine.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bounds::index_bounds;
use super::external::Weights;
use super::proto::{GraphProto, ModelProto, NodeProto};
use super::signature::{Boundary, ReadSignature};
use super::source::{check_beginning, model_bytes, title};
use crate::engine::{EngineError, Signature};
use crate::layout::ModelSource;

/// The content of a model's file without the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelFile {
    /// The file's path, or the name of an embedded model.
    pub title: String,
    /// Inputs and outputs; inputs that have a default in the file are left out, and so are
    /// outputs that are not tensors.
    pub signature: Signature,
    /// Outputs that are left out of the signature, each with the reason.
    pub skipped_outputs: BTreeMap<String, String>,
    /// Version of the file format.
    pub ir_version: i64,
    /// Versions of the operator sets, by domain; "ai.onnx" is the standard one.
    pub opsets: BTreeMap<String, i64>,
    /// The program that wrote the file, with its version; may be empty.
    pub producer: String,
    /// The number of uses of each operator, inner graphs included. Operators outside the standard
    /// set carry their domain ("com.microsoft.Gelu").
    pub operators: BTreeMap<String, u64>,
    /// Elements of all weights.
    pub parameters: u64,
    /// Bytes of all weights, those in other files included.
    pub weight_bytes: u64,
    /// Bytes of the model's file alone.
    pub file_bytes: u64,
    /// Bytes of the files beside it that hold weights.
    pub external_bytes: u64,
    /// Files beside it that hold weights, relative to its folder.
    pub external_files: BTreeSet<String>,
    /// For inputs that look up rows of a constant table, the table's length: indices must stay
    /// below it.
    pub index_bounds: BTreeMap<String, u64>,
}

impl ModelFile {
    /// Reads and checks a model's file.
    ///
    /// # Errors
    /// [`EngineError::Read`] when the file, or one beside it that holds weights, cannot be read;
    /// [`EngineError::NotOnnx`] when it is damaged or something else; [`EngineError::Unsupported`]
    /// when an input is not a tensor of a type that divvy can pass.
    pub fn read(source: &ModelSource) -> Result<Self, EngineError> {
        let bytes = match model_bytes(source)? {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let folder = match source {
            ModelSource::File(path) => Some(path.parent().unwrap_or_else(|| Path::new("."))),
            ModelSource::Embedded(_) => None,
        };
        Self::parse(&bytes, title(source), folder)
    }

    /// Like [`ModelFile::read`], for bytes in memory. `folder` is searched for files with weights.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn parse(bytes: &Bytes, title: String, folder: Option<&Path>) -> Result<Self, EngineError> {
        let file_bytes = bytes.len() as u64;
        let not_onnx = |reason: String| EngineError::NotOnnx { path: title.clone(), reason };
        let model = decode(bytes).map_err(not_onnx)?;
        let Some(graph) = model.graph.as_ref().filter(|graph| !graph.output.is_empty()) else {
            return Err(not_onnx("it has no graph with an output".to_owned()));
        };
        let opsets = opsets(&model).map_err(not_onnx)?;
        let mut survey = Survey::default();
        survey.graph(graph).map_err(not_onnx)?;
        for function in &model.functions {
            survey.nodes(&function.node).map_err(not_onnx)?;
        }
        let Survey { operators, weights } = survey;
        let external_bytes = weights
            .check_files(folder)
            .map_err(|reason| EngineError::Read { path: title.clone(), reason })?;
        let ReadSignature { signature, skipped_outputs } = Boundary::of(graph).signature(&title)?;
        Ok(Self {
            signature,
            skipped_outputs,
            ir_version: model.ir_version,
            opsets,
            producer: format!("{} {}", model.producer_name, model.producer_version)
                .trim()
                .to_owned(),
            operators,
            parameters: weights.parameters,
            weight_bytes: weights.bytes,
            file_bytes,
            external_bytes,
            external_files: weights.files.into_keys().collect(),
            index_bounds: index_bounds(graph),
            title,
        })
    }
}

fn decode(bytes: &Bytes) -> Result<ModelProto, String> {
    check_beginning(bytes)?;
    ModelProto::decode(bytes.clone())
        .map_err(|error| format!("it is another kind of file, damaged, or cut short ({error})"))
}

fn opsets(model: &ModelProto) -> Result<BTreeMap<String, i64>, String> {
    if model.opset_import.is_empty() {
        return Err("it names no operator set: it is cut short, or another kind of file".to_owned());
    }
    Ok(model
        .opset_import
        .iter()
        .map(|opset| {
            let domain = if opset.domain.is_empty() { "ai.onnx" } else { opset.domain.as_str() };
            (domain.to_owned(), opset.version)
        })
        .collect())
}

/// Operators and weights, gathered over the graph and every graph inside it.
#[derive(Default)]
struct Survey {
    operators: BTreeMap<String, u64>,
    weights: Weights,
}

impl Survey {
    fn graph(&mut self, graph: &GraphProto) -> Result<(), String> {
        self.weights.add_graph(graph)?;
        self.nodes(&graph.node)
    }

    fn nodes(&mut self, nodes: &[NodeProto]) -> Result<(), String> {
        for node in nodes {
            if node.op_type.is_empty() {
                return Err("it has an operator without a name: the file is damaged".to_owned());
            }
            let name = match node.domain.as_str() {
                "" | "ai.onnx" => node.op_type.clone(),
                domain => format!("{domain}.{}", node.op_type),
            };
            *self.operators.entry(name).or_default() += 1;
            self.weights.add_node(node)?;
            for inner in node.attribute.iter().flat_map(|it| it.g.iter().chain(&it.graphs)) {
                self.graph(inner)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(name: &str) -> ModelFile {
        ModelFile::read(&ModelSource::Embedded(name.to_owned())).unwrap()
    }

    #[test]
    fn embedded_encoder_is_described() {
        let file = embedded("embedder.onnx");
        assert_eq!(file.signature.inputs.len(), 1);
        assert_eq!(file.signature.inputs[0].element, crate::engine::ElementType::I64);
        assert!(file.operators["MatMul"] > 4);
        assert!(file.opsets["ai.onnx"] >= 13);
        assert!(file.weight_bytes < file.file_bytes && file.weight_bytes * 2 > file.file_bytes);
        // the token ids index an embedding table, so its length is their bound
        assert_eq!(file.index_bounds.keys().collect::<Vec<_>>(), [&file.signature.inputs[0].name]);
    }

    #[test]
    fn every_cut_of_a_model_is_refused() {
        let source = ModelSource::Embedded("ranker.onnx".to_owned());
        let whole = model_bytes(&source).unwrap();
        for part in 0..64 {
            let cut = Bytes::copy_from_slice(&whole[..whole.len() * part / 64]);
            let error = ModelFile::parse(&cut, "cut.onnx".into(), None).unwrap_err();
            assert!(matches!(error, EngineError::NotOnnx { .. }), "{part}/64: {error}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |source: &ModelSource| ModelFile::read(source).unwrap_err().to_string();
        let at = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            ModelSource::File(path)
        };
        assert!(reason(&ModelSource::File(folder.path().into())).contains("folder"));
        assert!(reason(&ModelSource::File(folder.path().join("no"))).contains("no such file"));
        assert!(reason(&at("empty", b"")).contains("empty"));
        assert!(reason(&at("text", b"hello, world")).contains("not an ONNX model"));
        assert!(reason(&at("zip", b"PK\x03\x04\0\0\0\0")).contains("not an ONNX model"));
        assert!(reason(&at("lfs", b"version https://git-lfs.github.com/spec/v1")).contains("LFS"));
        assert!(reason(&ModelSource::Embedded("x.onnx".into())).contains("detector.onnx"));
    }
}
