//! The elements of an output as JSON: one flat list.

use serde::ser::{Error, Serialize, Serializer};

use crate::engine::{NamedTensor, TensorData};

/// The elements of an output.
pub(super) struct JsonForm<'a>(pub &'a NamedTensor);

impl Serialize for JsonForm<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let name = &self.0.name;
        let no_form = |what: &str| {
            S::Error::custom(format_args!(
                "output `{name}` {what}, which JSON cannot express; ask for it with `binary_data`"
            ))
        };
        match self.0.tensor.data() {
            TensorData::Bool(values) => values.serialize(to),
            TensorData::I8(values) => values.serialize(to),
            TensorData::I16(values) => values.serialize(to),
            TensorData::I32(values) => values.serialize(to),
            TensorData::I64(values) => values.serialize(to),
            TensorData::U8(values) => values.serialize(to),
            TensorData::U16(values) => values.serialize(to),
            TensorData::U32(values) => values.serialize(to),
            TensorData::U64(values) => values.serialize(to),
            TensorData::String(values) => values.serialize(to),
            TensorData::F32(values) if values.iter().all(|value| value.is_finite()) => {
                values.serialize(to)
            }
            TensorData::F64(values) if values.iter().all(|value| value.is_finite()) => {
                values.serialize(to)
            }
            TensorData::F32(_) | TensorData::F64(_) => {
                Err(no_form("holds a value that is not finite"))
            }
            TensorData::F16(_) => Err(no_form("is of type FP16")),
            TensorData::BF16(_) => Err(no_form("is of type BF16")),
        }
    }
}
