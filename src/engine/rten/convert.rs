//! Tensors to and from rten, which computes in float32, int32, int8 and uint8 only.

use half::f16;
use rten::{Value, ValueOrView, ValueView};
use rten_tensor::prelude::*;

use crate::engine::{ElementType, EngineError, Tensor, TensorData, TensorSpec};
use crate::machine::allocation::Account;

/// Types that can be passed without loss: rten's own types, and types whose values all fit one of
/// them. For int64, each value is checked.
pub(super) const ELEMENTS: &[ElementType] = &[
    ElementType::Bool,
    ElementType::I8,
    ElementType::I32,
    ElementType::I64,
    ElementType::U8,
    ElementType::F16,
    ElementType::F32,
];

/// Converts a tensor for rten. Does not copy if rten has the type.
pub(super) fn input<'a>(name: &str, tensor: &'a Tensor) -> Result<ValueOrView<'a>, EngineError> {
    let fault =
        |reason: String| EngineError::Input { input: name.to_owned(), reason: reason.into() };
    let shape = tensor.shape();
    macro_rules! view {
        ($values:expr) => {
            ValueView::from_shape(shape, $values.as_slice())
                .map(ValueOrView::View)
                .map_err(|error| fault(error.to_string()))
        };
    }
    macro_rules! owned {
        ($values:expr) => {
            Value::from_shape(shape, $values)
                .map(ValueOrView::Value)
                .map_err(|error| fault(error.to_string()))
        };
    }
    match tensor.data() {
        TensorData::F32(values) => view!(values),
        TensorData::I32(values) => view!(values),
        TensorData::I8(values) => view!(values),
        TensorData::U8(values) => view!(values),
        TensorData::F16(values) => {
            owned!(values.iter().map(|value| value.to_f32()).collect::<Vec<f32>>())
        }
        TensorData::Bool(values) => {
            owned!(values.iter().map(|value| i32::from(*value)).collect::<Vec<i32>>())
        }
        TensorData::I64(values) => {
            let narrow = values
                .iter()
                .map(|value| {
                    i32::try_from(*value).map_err(|_| {
                        fault(format!(
                            "the value {value} is outside of 32 bits, which is all that rten has"
                        ))
                    })
                })
                .collect::<Result<Vec<i32>, EngineError>>()?;
            owned!(narrow)
        }
        other => Err(fault(format!("rten has no elements of type {}", other.element()))),
    }
}

/// Converts rten's value to the type that the model's file declares, and charges it to an account. Does
/// not copy if rten has the type.
pub(super) fn output(spec: &TensorSpec, value: Value, account: &Account) -> Result<Tensor, String> {
    let shape = value.shape().to_vec();
    let mut data = match (spec.element, value) {
        (ElementType::F32, Value::FloatTensor(values)) => {
            TensorData::F32(fitted(values.into_data()))
        }
        (ElementType::F16, Value::FloatTensor(values)) => {
            TensorData::F16(values.into_data().into_iter().map(f16::from_f32).collect())
        }
        (ElementType::I32, Value::Int32Tensor(values)) => {
            TensorData::I32(fitted(values.into_data()))
        }
        (ElementType::I64, Value::Int32Tensor(values)) => {
            TensorData::I64(values.into_data().into_iter().map(i64::from).collect())
        }
        (ElementType::Bool, Value::Int32Tensor(values)) => {
            TensorData::Bool(values.into_data().into_iter().map(|value| value != 0).collect())
        }
        (ElementType::I8, Value::Int8Tensor(values)) => TensorData::I8(fitted(values.into_data())),
        (ElementType::U8, Value::UInt8Tensor(values)) => TensorData::U8(fitted(values.into_data())),
        (want, value) => {
            return Err(format!(
                "the output `{}` came as {:?}, where the model promises {want}",
                spec.name,
                value.dtype()
            ));
        }
    };
    data.charge_to(account);
    Tensor::new(shape, data)
        .ok_or_else(|| format!("the output `{}` does not fill its shape", spec.name))
}

/// Frees the rest of a buffer that is much larger than its elements: rten puts a result into any buffer
/// of the run that is large enough, so a caller that keeps a small result would keep a large activation.
fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() / 2 > values.len() {
        values.shrink_to_fit();
    }
    values
}
