//! Builds an ONNX graph node by node, with seeded weights.

use fastrand::Rng;
use prost::Message;
use prost::bytes::Bytes;

use crate::engine::onnx::proto::{
    AttributeKind, AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
    ValueInfoProto,
};
use crate::engine::onnx::types;

pub(super) use crate::engine::onnx::types::{FLOAT, INT64};

/// Version of the file format, and of the operators: old enough for every engine in use.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// A dimension of an input or output.
#[derive(Clone, Copy)]
pub(super) enum DimSize {
    /// Set by each request.
    Named(&'static str),
    /// A fixed size.
    Fixed(usize),
}

/// Builder of a graph.
pub(super) struct Builder {
    rng: Rng,
    graph: GraphProto,
    next: usize,
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), graph: GraphProto::default(), next: 0 }
    }

    pub(super) fn input(&mut self, name: &str, element: i32, dims: &[DimSize]) -> String {
        self.graph.input.push(value_info(name, element, dims));
        name.to_owned()
    }

    pub(super) fn output(&mut self, name: &str, element: i32, dims: &[DimSize]) {
        self.graph.output.push(value_info(name, element, dims));
    }

    /// Weights spread evenly so that a sum over `fan_in` inputs of unit variance has the variance
    /// `gain` squared: values stay in a sane range through any number of layers.
    pub(super) fn weight(&mut self, dims: &[usize], fan_in: usize, gain: f32) -> String {
        let bound = gain * (3.0 / fan_in as f32).sqrt();
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (self.rng.f32() * 2.0 - 1.0) * bound).collect();
        self.floats(dims, &values)
    }

    /// Adds a constant of floats.
    pub(super) fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(types::FLOAT, dims, bytes)
    }

    /// Adds a constant list of integers.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(types::INT64, &[values.len()], bytes)
    }

    fn constant(&mut self, data_type: i32, dims: &[usize], bytes: Vec<u8>) -> String {
        let name = self.fresh("weight");
        self.graph.initializer.push(TensorProto {
            dims: dims.iter().map(|dim| long(*dim)).collect(),
            data_type,
            name: name.clone(),
            raw_data: Bytes::from(bytes),
            ..TensorProto::default()
        });
        name
    }

    /// Adds an operator. Returns the name of its output.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = self.fresh(operator);
        self.node_as(operator, inputs, attributes, &name);
        name
    }

    /// Adds an operator whose output has this name.
    pub(super) fn node_as(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        output: &str,
    ) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{output}_node"),
            op_type: operator.to_owned(),
            attribute: attributes,
            domain: String::new(),
        });
    }

    /// Adds `input x weights + bias` over the last dimension.
    pub(super) fn linear(&mut self, input: &str, from: usize, to: usize, gain: f32) -> String {
        let weights = self.weight(&[from, to], from, gain);
        let bias = self.weight(&[to], 1, 0.01);
        let product = self.node("MatMul", &[input, &weights], vec![]);
        self.node("Add", &[&product, &bias], vec![])
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{}_{}", kind.to_ascii_lowercase(), self.next)
    }

    /// Returns the bytes of the ONNX file.
    pub(super) fn finish(mut self, name: &str) -> Vec<u8> {
        name.clone_into(&mut self.graph.name);
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "divvy synth".to_owned(),
            producer_version: String::new(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            functions: vec![],
        }
        .encode_to_vec()
    }
}

/// Converts a size to ONNX's type. Sizes of recipes are far below its limit.
pub(super) fn long(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn value_info(name: &str, element: i32, dims: &[DimSize]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| Dimension {
            value: Some(match dim {
                DimSize::Named(name) => DimensionValue::Name((*name).to_owned()),
                DimSize::Fixed(size) => DimensionValue::Size(long(*size)),
            }),
        })
        .collect();
    let tensor = TensorType { elem_type: element, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }),
    }
}

fn attribute(name: &str, kind: AttributeKind) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: value, ..attribute(name, AttributeKind::Int) }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeKind::Ints) }
}

/// A float attribute.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, AttributeKind::Float) }
}
