//! The fault of an input whose tensor does not fit the model.

use std::fmt;

use super::signature::TensorSpec;
use super::tensor::ElementType;

/// The fault of an input, with what the model expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputFault {
    /// The input is not given.
    Missing(TensorSpec),
    /// Its elements have another type than the model expects.
    Element(ElementType, TensorSpec),
    /// Its shape does not fit.
    Shape(Vec<usize>, TensorSpec),
    /// Another fault, described with the valid values.
    Other(String),
}

impl InputFault {
    /// Returns the message with the names that `name` gives to element types.
    pub fn describe(&self, name: impl Fn(ElementType) -> &'static str) -> String {
        let expected = |spec: &TensorSpec| format!("{} {}", name(spec.element), spec.input_dims());
        match self {
            Self::Missing(spec) => format!("it is missing; give {}", expected(spec)),
            Self::Element(given, spec) => format!(
                "its elements are {}, where the model wants {}",
                name(*given),
                expected(spec)
            ),
            Self::Shape(given, spec) => {
                format!("its shape is {given:?}, where the model wants {}", expected(spec))
            }
            Self::Other(reason) => reason.clone(),
        }
    }
}

impl fmt::Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(ElementType::name))
    }
}

impl From<String> for InputFault {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}
