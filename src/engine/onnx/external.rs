//! Counts a model's weights, and checks the files beside the model that contain weights.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::proto::{GraphProto, NodeProto, TensorProto};
use super::types;

/// The total size of a model's weights.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// Elements.
    pub parameters: u64,
    /// Bytes, wherever they are.
    pub bytes: u64,
    /// Files beside the model, each with the bytes that must be in it.
    pub files: BTreeMap<String, u64>,
}

impl Weights {
    /// Adds a graph's weights without those of inner graphs, which are visited separately.
    pub(super) fn add_graph(&mut self, graph: &GraphProto) -> Result<(), String> {
        for tensor in &graph.initializer {
            self.add(tensor)?;
        }
        for sparse in &graph.sparse_initializer {
            for tensor in sparse.values.iter().chain(&sparse.indices) {
                self.add(tensor)?;
            }
        }
        Ok(())
    }

    /// Adds the tensors among a node's attributes.
    pub(super) fn add_node(&mut self, node: &NodeProto) -> Result<(), String> {
        for attribute in &node.attribute {
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                self.add(tensor)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, tensor: &TensorProto) -> Result<(), String> {
        let too_large = || format!("the weight `{}` has an impossible shape", tensor.name);
        let mut elements = 1u64;
        for dim in &tensor.dims {
            let dim = u64::try_from(*dim).map_err(|_| too_large())?;
            elements = elements.checked_mul(dim).ok_or_else(too_large)?;
        }
        let Some(bits) = types::bits(tensor.data_type) else {
            return Err(format!(
                "the weight `{}` has element type {}, which ONNX does not have",
                tensor.name, tensor.data_type
            ));
        };
        let bytes = elements.checked_mul(bits).ok_or_else(too_large)?.div_ceil(8);
        if tensor.data_location == TensorProto::EXTERNAL {
            self.add_external(tensor, bytes)?;
        } else if !tensor.raw_data.is_empty() && tensor.raw_data.len() as u64 != bytes {
            return Err(format!(
                "the weight `{}` should have {bytes} bytes and has {}: the file is damaged",
                tensor.name,
                tensor.raw_data.len()
            ));
        }
        self.parameters = self.parameters.saturating_add(elements);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn add_external(&mut self, tensor: &TensorProto, bytes: u64) -> Result<(), String> {
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                format!("the weight `{}` has the {key} `{text}`, which is no number", tensor.name)
            }),
        };
        let Some(location) = entry("location") else {
            return Err(format!(
                "the weight `{}` is in another file, but the model does not say in which",
                tensor.name
            ));
        };
        // required by the ONNX specification: otherwise a model could read any of the user's files
        let is_within = Path::new(location)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_within {
            return Err(format!(
                "the weight `{}` is in `{location}`, outside of the model's folder, which is not \
                 allowed",
                tensor.name
            ));
        }
        let end = number("offset")?
            .unwrap_or(0)
            .checked_add(number("length")?.unwrap_or(bytes))
            .ok_or_else(|| format!("the weight `{}` has an impossible offset", tensor.name))?;
        let needed = self.files.entry(location.clone()).or_default();
        *needed = end.max(*needed);
        Ok(())
    }

    /// Checks the files beside the model. Returns the sum of their sizes, or the fault.
    pub(super) fn check_files(&self, folder: Option<&Path>) -> Result<u64, String> {
        let mut total = 0u64;
        for (location, needed) in &self.files {
            let path = match folder {
                Some(folder) => folder.join(location),
                None => return Err(format!("its weights are in `{location}`, another file")),
            };
            let size = std::fs::metadata(&path)
                .map_err(|error| {
                    format!(
                        "weights of this model are in {}, which cannot be read ({error}): put that \
                         file beside the model",
                        path.display()
                    )
                })?
                .len();
            if size < *needed {
                return Err(format!(
                    "weights of this model are in {}, which has {size} bytes where {needed} are \
                     needed: it is cut short",
                    path.display()
                ));
            }
            total = total.saturating_add(size);
        }
        Ok(total)
    }
}
