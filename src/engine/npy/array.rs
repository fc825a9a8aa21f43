//! Decodes one `.npy` array into a tensor.

use std::path::Path;

use half::f16;
use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};

use crate::engine::{EngineError, Tensor, TensorData};

/// Returns the error of a file.
pub(super) fn fault(path: &Path, reason: impl Into<String>) -> EngineError {
    EngineError::Data { path: path.display().to_string(), reason: reason.into() }
}

/// Reads a regular file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, EngineError> {
    if path.is_dir() {
        return Err(fault(path, "it is a folder"));
    }
    if let Some(kind) = crate::machine::special_file_kind(path) {
        return Err(fault(path, format!("it is {kind}, not a regular file")));
    }
    std::fs::read(path).map_err(|error| fault(path, error.to_string()))
}

/// Reads an `.npy` file.
///
/// # Errors
/// [`EngineError::Data`] with the path and what is wrong.
pub fn read_npy(path: &Path) -> Result<Tensor, EngineError> {
    decode(&read_file(path)?).map_err(|reason| fault(path, reason))
}

/// Decodes the bytes of an `.npy` file.
pub(super) fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    let file = NpyFile::new(bytes).map_err(|error| format!("it is no .npy array ({error})"))?;
    let DType::Plain(dtype) = file.dtype() else {
        return Err("it holds records, where a plain array is needed".to_owned());
    };
    let impossible = || format!("its shape {:?} is impossible", file.shape());
    let mut shape = Vec::with_capacity(file.shape().len());
    let mut count = 1usize;
    for size in file.shape() {
        let size = usize::try_from(*size).map_err(|_| impossible())?;
        count = count.checked_mul(size).ok_or_else(impossible)?;
        shape.push(size);
    }
    if file.uses_pickled_array() {
        return Err("it holds Python objects; save it with a plain dtype".to_owned());
    }
    // check this before allocating the size that the header claims
    let stored = dtype.num_bytes().and_then(|size| size.checked_mul(count));
    if stored.is_none_or(|stored| stored > bytes.len()) {
        return Err(format!("it is cut short: shape {shape:?} needs more bytes than it has"));
    }
    let is_columns = file.order() == Order::Fortran;
    let order = |shape: &[usize]| is_columns.then(|| rows_from_columns(shape));
    let shape_order = order(&shape);
    macro_rules! read {
        ($type:ty, $variant:ident) => {
            TensorData::$variant(values::<$type>(file, shape_order.as_deref())?)
        };
    }
    let data = match (dtype.type_char(), dtype.size_field()) {
        (TypeChar::Bool, 1) => read!(bool, Bool),
        (TypeChar::Int, 1) => read!(i8, I8),
        (TypeChar::Int, 2) => read!(i16, I16),
        (TypeChar::Int, 4) => read!(i32, I32),
        (TypeChar::Int, 8) => read!(i64, I64),
        (TypeChar::Uint, 1) => read!(u8, U8),
        (TypeChar::Uint, 2) => read!(u16, U16),
        (TypeChar::Uint, 4) => read!(u32, U32),
        (TypeChar::Uint, 8) => read!(u64, U64),
        (TypeChar::Float, 2) => read!(f16, F16),
        (TypeChar::Float, 4) => read!(f32, F32),
        (TypeChar::Float, 8) => read!(f64, F64),
        (TypeChar::UnicodeStr, _) => read!(String, String),
        (TypeChar::ByteStr, _) => {
            let texts = values::<Vec<u8>>(file, shape_order.as_deref())?
                .into_iter()
                .map(String::from_utf8)
                .collect::<Result<Vec<String>, _>>()
                .map_err(|_| "it holds bytes that are no UTF-8 text".to_owned())?;
            TensorData::String(texts)
        }
        _ => return Err(format!("its dtype `{dtype}` is none that a model can take")),
    };
    Tensor::new(shape, data).ok_or_else(|| "it does not fill its shape".to_owned())
}

fn values<T: Deserialize + Clone>(
    file: NpyFile<&[u8]>,
    order: Option<&[usize]>,
) -> Result<Vec<T>, String> {
    let values = file.into_vec::<T>().map_err(|error| format!("it is damaged ({error})"))?;
    match order {
        None => Ok(values),
        Some(order) => order
            .iter()
            .map(|index| values.get(*index).cloned())
            .collect::<Option<Vec<T>>>()
            .ok_or_else(|| "it is cut short".to_owned()),
    }
}

/// Returns the column-major position of each element, in row-major order.
fn rows_from_columns(shape: &[usize]) -> Vec<usize> {
    let count: usize = shape.iter().product();
    (0..count)
        .map(|row_major| {
            let mut rest = row_major;
            let mut index = 0;
            // the last dimension runs fastest in row-major order, the first in column-major order
            let mut steps = Vec::with_capacity(shape.len());
            for size in shape.iter().rev() {
                steps.push(rest % size);
                rest /= size;
            }
            for (size, step) in shape.iter().rev().zip(&steps) {
                index = index * size + step;
            }
            index
        })
        .collect()
}
