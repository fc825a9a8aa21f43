//! The inputs and outputs of a model, and the names of the dimensions that they leave open.

use serde::{Deserialize, Serialize};

use super::tensor::ElementType;

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Set by the request, under this name.
    Named(String),
    /// Set by the request, without a name.
    Unknown,
}

/// The name and type of one input or output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub element: ElementType,
    /// Its dimensions; empty for a scalar, `None` if the model leaves even their number open.
    pub dims: Option<Vec<Dim>>,
}

/// A dimension of an input whose size each request sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDim {
    /// The name that a layout's `dims` uses for it.
    pub name: String,
    /// The index of the dimension within its input, from 0.
    pub axis: usize,
    /// The number of dimensions of its input.
    pub rank: usize,
    /// The element type of its input.
    pub element: ElementType,
}

impl TensorSpec {
    /// Returns the name that a layout's `dims` uses for an open dimension: the model's own name, or
    /// the input's name and the axis ("image.2"). `None` for a fixed dimension.
    pub fn open_dim_name(&self, axis: usize) -> Option<String> {
        match self.dims.as_ref()?.get(axis)? {
            Dim::Fixed(_) => None,
            Dim::Named(name) => Some(name.clone()),
            Dim::Unknown => Some(format!("{}.{axis}", self.name)),
        }
    }

    /// Returns the open dimensions of an input, in order.
    pub fn open_dims(&self) -> impl Iterator<Item = OpenDim> + '_ {
        let rank = self.dims.as_ref().map_or(0, Vec::len);
        (0..rank).filter_map(move |axis| {
            let name = self.open_dim_name(axis)?;
            Some(OpenDim { name, axis, rank, element: self.element })
        })
    }

    /// Returns the dimensions of an input as text, open ones by the name that `dims` uses:
    /// "[batch, 3, x.2]", "scalar", "any shape".
    pub fn input_dims(&self) -> String {
        self.dims_as(|axis| self.open_dim_name(axis))
    }

    /// Returns the dimensions of an output as text: "[batch, 3, ?]", "scalar", "any shape".
    pub fn output_dims(&self) -> String {
        self.dims_as(|axis| match self.dims.as_ref()?.get(axis)? {
            Dim::Named(name) => Some(name.clone()),
            Dim::Fixed(_) | Dim::Unknown => None,
        })
    }

    fn dims_as(&self, name: impl Fn(usize) -> Option<String>) -> String {
        let Some(dims) = &self.dims else { return "any shape".to_owned() };
        if dims.is_empty() {
            return "scalar".to_owned();
        }
        let text = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Named(_) | Dim::Unknown => name(axis).unwrap_or_else(|| "?".to_owned()),
        };
        let sizes: Vec<String> = dims.iter().enumerate().map(text).collect();
        format!("[{}]", sizes.join(", "))
    }
}

/// The inputs that a model requires and the outputs that it returns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Signature {
    /// Inputs, in the model's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, in the model's order.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// Returns the input of this name.
    pub fn input(&self, name: &str) -> Option<&TensorSpec> {
        self.inputs.iter().find(|spec| spec.name == name)
    }

    /// Returns the output of this name.
    pub fn output(&self, name: &str) -> Option<&TensorSpec> {
        self.outputs.iter().find(|spec| spec.name == name)
    }

    /// Returns the open dimensions of all inputs, in the model's order. Dimensions of the same name
    /// have the same size in each request and are listed once.
    pub fn open_dims(&self) -> Vec<OpenDim> {
        let mut open: Vec<OpenDim> = Vec::new();
        for dim in self.inputs.iter().flat_map(TensorSpec::open_dims) {
            if !open.iter().any(|known| known.name == dim.name) {
                open.push(dim);
            }
        }
        open
    }

    /// Returns the names that a layout's `dims` may set, in the model's order.
    pub fn open_dim_names(&self) -> Vec<String> {
        self.open_dims().into_iter().map(|dim| dim.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dims: Option<Vec<Dim>>) -> TensorSpec {
        TensorSpec { name: name.to_owned(), element: ElementType::F32, dims }
    }

    #[test]
    fn unnamed_dimensions_get_input_with_axis() {
        let x = spec("x", Some(vec![Dim::Unknown, Dim::Fixed(0), Dim::Named("h".to_owned())]));
        assert_eq!(x.input_dims(), "[x.0, 0, h]");
        assert_eq!(x.output_dims(), "[?, 0, h]");
        let signature = Signature { inputs: vec![x.clone(), x], outputs: Vec::new() };
        assert_eq!(signature.open_dim_names(), ["x.0", "h"]);
    }

    #[test]
    fn missing_dimensions_have_no_names() {
        assert_eq!(spec("x", None).input_dims(), "any shape");
        assert_eq!(spec("x", Some(Vec::new())).input_dims(), "scalar");
        assert_eq!(spec("x", None).open_dims().count(), 0);
    }
}
