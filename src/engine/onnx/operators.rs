//! A search for operators in a model's file, for messages that name only an attribute.

use std::collections::BTreeSet;

use prost::Message;

use super::proto::{GraphProto, ModelProto, NodeProto};
use super::source::model_bytes;
use crate::layout::ModelSource;

/// A node of a graph.
pub(crate) struct Node<'a>(&'a NodeProto);

impl Node<'_> {
    /// Returns true if the node sets this attribute.
    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        self.0.attribute.iter().any(|attribute| attribute.name == name)
    }

    /// Returns the number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.0.input.len()
    }
}

/// Returns the names of the operators of all nodes that match, sorted; none if the file cannot be
/// read.
pub(crate) fn find_operators(
    source: &ModelSource,
    matches: &dyn Fn(&Node<'_>) -> bool,
) -> Vec<String> {
    let model = model_bytes(source).ok().and_then(|bytes| ModelProto::decode(&*bytes).ok());
    let mut names = BTreeSet::new();
    if let Some(model) = &model {
        model.graph.iter().for_each(|graph| search(graph, matches, &mut names));
        let functions = model.functions.iter().flat_map(|function| &function.node);
        functions.for_each(|node| search_node(node, matches, &mut names));
    }
    names.into_iter().collect()
}

fn search(graph: &GraphProto, matches: &dyn Fn(&Node<'_>) -> bool, names: &mut BTreeSet<String>) {
    graph.node.iter().for_each(|node| search_node(node, matches, names));
}

fn search_node(
    node: &NodeProto,
    matches: &dyn Fn(&Node<'_>) -> bool,
    names: &mut BTreeSet<String>,
) {
    if matches(&Node(node)) {
        names.insert(node.op_type.clone());
    }
    let graphs = node.attribute.iter().flat_map(|it| it.g.iter().chain(&it.graphs));
    graphs.for_each(|graph| search(graph, matches, names));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_found_by_attribute() {
        let source = ModelSource::Embedded("detector.onnx".to_owned());
        assert_eq!(find_operators(&source, &|node| node.has_attribute("strides")), ["Conv"]);
        assert_eq!(find_operators(&source, &|node| node.inputs() == 77), Vec::<String>::new());
    }
}
