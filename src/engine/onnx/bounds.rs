//! Upper bounds of integer inputs that look up rows of a table (Gather): the table's length.

use std::collections::{BTreeMap, HashMap};

use super::proto::{AttributeProto, GraphProto, NodeProto};

/// Returns the length of the shortest constant table for each graph input whose values reach a
/// Gather as indices, directly or through operators that keep the values.
pub(super) fn index_bounds(graph: &GraphProto) -> BTreeMap<String, u64> {
    let tables: HashMap<&str, &[i64]> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor.dims.as_slice()))
        .collect();
    // maps each value to the graph input whose elements it passes on unchanged
    let mut origin: HashMap<&str, &str> =
        graph.input.iter().map(|input| (input.name.as_str(), input.name.as_str())).collect();
    let mut bounds = BTreeMap::new();
    for node in &graph.node {
        let Some(first) = node.input.first() else { continue };
        match node.op_type.as_str() {
            "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose"
            | "Expand" | "Slice" => {
                if let (Some(source), Some(output)) =
                    (origin.get(first.as_str()).copied(), node.output.first())
                {
                    origin.insert(output, source);
                }
            }
            "Gather" => {
                let indices = node.input.get(1).and_then(|name| origin.get(name.as_str()));
                if let (Some(input), Some(rows)) = (indices, rows(node, tables.get(first.as_str())))
                {
                    let bound = bounds.entry((*input).to_owned()).or_insert(rows);
                    *bound = rows.min(*bound);
                }
            }
            _ => {}
        }
    }
    bounds
}

fn rows(gather: &NodeProto, table: Option<&&[i64]>) -> Option<u64> {
    let table = table?;
    let axis = gather
        .attribute
        .iter()
        .find(|attribute: &&AttributeProto| attribute.name == "axis")
        .map_or(0, |attribute| attribute.i);
    let axis = if axis < 0 { axis + i64::try_from(table.len()).ok()? } else { axis };
    table.get(usize::try_from(axis).ok()?).and_then(|rows| u64::try_from(*rows).ok())
}
