//! The files beside a model that hold its weights, found without reading any weight.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use prost::Message;

use super::proto::StringStringEntryProto;
use super::scan::{Scanner, Wire};
use super::source::open_model;
use crate::engine::EngineError;

/// The most messages within each other. Graphs within graphs seldom have five.
const DEEPEST: usize = 200;

/// The key of the entry that names a file.
const LOCATION: &str = "location";

/// A message of `onnx.proto3` that can hold tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    /// An entry of a tensor's `external_data`.
    Entry,
}

impl Part {
    /// Returns the kind of the message in a field.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Self::Tensor
            }
            (Self::Tensor, 13) => Self::Entry,
            _ => return None,
        })
    }
}

/// Returns the files beside a model's file that hold its weights. Skips the weights in the file itself, so that
/// it takes a few milliseconds for files of any size.
///
/// # Errors
/// [`EngineError::Read`] if the file cannot be read, [`EngineError::NotOnnx`] if it is damaged.
pub fn weight_files(path: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let (file, size) = open_model(path)?;
    let names = find_locations(file, size).map_err(|reason| EngineError::NotOnnx {
        path: path.display().to_string(),
        reason: format!("the file is damaged, or has another format ({reason})"),
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn find_locations(file: impl Read + Seek, size: u64) -> Result<BTreeSet<String>, String> {
    let mut scanner = Scanner::new(file, size);
    let mut names = BTreeSet::new();
    let mut open = vec![(Part::Model, size)];
    while let Some((part, end)) = open.last().copied() {
        let Some(field) = scanner.next_field(end)? else {
            open.pop();
            continue;
        };
        match (part.field(field.number), field.wire) {
            (Some(Part::Entry), wire @ Wire::Bytes(_)) => {
                let bytes = scanner.read(wire)?;
                let entry = StringStringEntryProto::decode(bytes.as_slice())
                    .map_err(|error| error.to_string())?;
                if entry.key == LOCATION {
                    names.insert(entry.value);
                }
            }
            (Some(inner), Wire::Bytes(length)) => {
                if open.len() >= DEEPEST {
                    return Err("its graphs are nested too deeply".to_owned());
                }
                open.push((inner, scanner.end_of(length)?));
            }
            (_, wire) => scanner.skip(wire)?,
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Returns a field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let tag = (u32::from(number) << 3) | 2;
        let mut all = Vec::new();
        prost::encoding::encode_varint(tag.into(), &mut all);
        prost::encoding::encode_varint(bytes.len() as u64, &mut all);
        all.extend(bytes);
        all
    }

    /// Returns a tensor whose bytes are in a file.
    fn tensor(name: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            let (key, value) = (key.to_owned(), value.to_owned());
            field(13, &StringStringEntryProto { key, value }.encode_to_vec())
        };
        let raw = field(9, b"weights of another tensor");
        [raw, entry("offset", "64"), entry(LOCATION, name)].concat()
    }

    fn locations(model: &[u8]) -> Result<Vec<String>, String> {
        let names = find_locations(Cursor::new(model), model.len() as u64)?;
        Ok(names.into_iter().collect())
    }

    #[test]
    fn tensors_are_found_everywhere() {
        let attribute = |number, inner: &[u8]| field(1, &field(5, &field(number, inner)));
        let inner = field(5, &tensor("of_a_branch"));
        let graph = [
            field(5, &tensor("of_the_graph")),
            field(5, &tensor("of_the_graph")),
            field(15, &field(1, &tensor("of_a_sparse_tensor"))),
            attribute(5, &tensor("of_a_constant")),
            attribute(6, &inner),
        ];
        let function = field(7, &field(5, &field(10, &tensor("of_a_function"))));
        let model = [field(7, &graph.concat()), field(25, &function)].concat();
        let expected =
            ["of_a_branch", "of_a_constant", "of_a_function", "of_a_sparse_tensor", "of_the_graph"];
        assert_eq!(locations(&model).unwrap(), expected);
    }

    #[test]
    fn damaged_model_is_an_error() {
        let model = field(7, &field(5, &tensor("weights")));
        assert!(locations(&model[..model.len() - 3]).is_err());
        let deep =
            (0..2 * DEEPEST).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
        assert!(locations(&field(7, &deep)).unwrap_err().contains("too deeply"));
    }

    #[test]
    fn embedded_models_have_none() {
        let bytes = crate::engine::embedded::bytes("ranker.onnx").unwrap();
        assert_eq!(locations(bytes), Ok(Vec::new()));
    }
}
