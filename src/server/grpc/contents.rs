//! Typed contents: the elements of an input as numbers of the message.

use super::messages::InferTensorContents;
use crate::engine::{ElementType, NamedTensor, Tensor, TensorData};
use crate::server::datatype::datatype;
use crate::server::raw_tensor::count_elements;
use crate::server::serve_error::ServeError;

/// Returns the tensor of an input with typed contents.
///
/// # Errors
/// If the elements are in the field of another type, do not fit the type or the shape, or the type has no
/// field. All errors name the input.
pub(super) fn read_contents(
    input: String,
    element: ElementType,
    shape: &[usize],
    contents: InferTensorContents,
) -> Result<NamedTensor, ServeError> {
    let fault = |reason: String| ServeError::bad_request(format!("input `{input}`: {reason}"));
    let Some(field) = field_of(element) else {
        return Err(fault(format!(
            "{} has no typed contents; send it in raw_input_contents",
            datatype(element)
        )));
    };
    if let Some(other) = filled_fields(&contents).find(|other| *other != field) {
        return Err(fault(format!(
            "its datatype is {}, so its elements belong in {field}, not in {other}",
            datatype(element)
        )));
    }
    let count = count_elements(&input, shape)?;
    let data = elements(element, contents).map_err(fault)?;
    let given = data.len();
    let tensor = Tensor::new(shape.to_vec(), data).ok_or_else(|| {
        fault(format!("shape {shape:?} needs {count} elements, but {field} has {given}"))
    })?;
    Ok(NamedTensor { name: input, tensor })
}

/// Returns the field for the elements of a type; `None` if it has none.
fn field_of(element: ElementType) -> Option<&'static str> {
    Some(match element {
        ElementType::Bool => "bool_contents",
        ElementType::I8 | ElementType::I16 | ElementType::I32 => "int_contents",
        ElementType::I64 => "int64_contents",
        ElementType::U8 | ElementType::U16 | ElementType::U32 => "uint_contents",
        ElementType::U64 => "uint64_contents",
        ElementType::F32 => "fp32_contents",
        ElementType::F64 => "fp64_contents",
        ElementType::String => "bytes_contents",
        ElementType::F16 | ElementType::BF16 => return None,
    })
}

/// Returns the names of the fields that have elements.
fn filled_fields(contents: &InferTensorContents) -> impl Iterator<Item = &'static str> {
    let fields = [
        ("bool_contents", contents.bool_contents.is_empty()),
        ("int_contents", contents.int_contents.is_empty()),
        ("int64_contents", contents.int64_contents.is_empty()),
        ("uint_contents", contents.uint_contents.is_empty()),
        ("uint64_contents", contents.uint64_contents.is_empty()),
        ("fp32_contents", contents.fp32_contents.is_empty()),
        ("fp64_contents", contents.fp64_contents.is_empty()),
        ("bytes_contents", contents.bytes_contents.is_empty()),
    ];
    fields.into_iter().filter_map(|(name, is_empty)| (!is_empty).then_some(name))
}

/// Returns the elements of a type.
///
/// # Errors
/// The reason, with the position of the element that does not fit.
fn elements(element: ElementType, contents: InferTensorContents) -> Result<TensorData, String> {
    Ok(match element {
        ElementType::Bool => TensorData::Bool(contents.bool_contents),
        ElementType::I8 => TensorData::I8(narrow(&contents.int_contents, "INT8")?),
        ElementType::I16 => TensorData::I16(narrow(&contents.int_contents, "INT16")?),
        ElementType::I32 => TensorData::I32(contents.int_contents),
        ElementType::I64 => TensorData::I64(contents.int64_contents),
        ElementType::U8 => TensorData::U8(narrow(&contents.uint_contents, "UINT8")?),
        ElementType::U16 => TensorData::U16(narrow(&contents.uint_contents, "UINT16")?),
        ElementType::U32 => TensorData::U32(contents.uint_contents),
        ElementType::U64 => TensorData::U64(contents.uint64_contents),
        ElementType::F32 => TensorData::F32(contents.fp32_contents),
        ElementType::F64 => TensorData::F64(contents.fp64_contents),
        ElementType::String => {
            let text = |(at, bytes): (usize, &prost::bytes::Bytes)| {
                let text = std::str::from_utf8(bytes).map(str::to_owned);
                text.map_err(|_| format!("element {at} is not UTF-8, which divvy's models need"))
            };
            let texts = contents.bytes_contents.iter().enumerate().map(text);
            TensorData::String(texts.collect::<Result<_, _>>()?)
        }
        ElementType::F16 | ElementType::BF16 => {
            return Err(format!("{} has no typed contents", datatype(element)));
        }
    })
}

/// Converts numbers to a smaller type.
fn narrow<T: Copy + std::fmt::Display, S: TryFrom<T>>(
    values: &[T],
    name: &str,
) -> Result<Vec<S>, String> {
    let convert = |(at, value): (usize, &T)| {
        S::try_from(*value)
            .map_err(|_| format!("element {at} is {value}, which {name} cannot hold"))
    };
    values.iter().enumerate().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(element: ElementType, contents: InferTensorContents) -> Result<TensorData, String> {
        let tensor = read_contents("x".to_owned(), element, &[2], contents);
        tensor.map(|it| it.tensor.data().clone()).map_err(|error| error.message)
    }

    fn ints(values: &[i32]) -> InferTensorContents {
        InferTensorContents { int_contents: values.to_vec(), ..InferTensorContents::default() }
    }

    #[test]
    fn small_integers_are_narrowed() {
        assert_eq!(read(ElementType::I8, ints(&[-128, 127])), Ok(TensorData::I8(vec![-128, 127])));
        assert_eq!(read(ElementType::I16, ints(&[-1, 300])), Ok(TensorData::I16(vec![-1, 300])));
        let uints = |values: &[u32]| InferTensorContents {
            uint_contents: values.to_vec(),
            ..InferTensorContents::default()
        };
        assert_eq!(read(ElementType::U16, uints(&[0, 65535])), Ok(TensorData::U16(vec![0, 65535])));
        let error = read(ElementType::U8, uints(&[1, 256])).unwrap_err();
        assert_eq!(error, "input `x`: element 1 is 256, which UINT8 cannot hold");
        assert!(read(ElementType::I8, ints(&[0, -129])).is_err());
    }

    #[test]
    fn text_must_be_utf8() {
        let texts = |last: &'static [u8]| InferTensorContents {
            bytes_contents: vec![b"a".as_slice().into(), last.into()],
            ..InferTensorContents::default()
        };
        let read_texts = read(ElementType::String, texts("é".as_bytes()));
        assert_eq!(read_texts, Ok(TensorData::String(vec!["a".to_owned(), "é".to_owned()])));
        let error = read(ElementType::String, texts(b"\xff")).unwrap_err();
        assert!(error.starts_with("input `x`: element 1 is not UTF-8"), "{error}");
    }

    #[test]
    fn wrong_field_names_the_right_one() {
        let error = read(ElementType::F32, ints(&[1, 2])).unwrap_err();
        assert_eq!(
            error,
            "input `x`: its datatype is FP32, so its elements belong in fp32_contents, not in int_contents"
        );
    }

    #[test]
    fn half_floats_must_be_raw() {
        for element in [ElementType::F16, ElementType::BF16] {
            let error = read(element, InferTensorContents::default()).unwrap_err();
            assert!(error.contains("send it in raw_input_contents"), "{error}");
        }
    }

    #[test]
    fn wrong_number_of_elements_is_refused() {
        let error = read(ElementType::I32, ints(&[1])).unwrap_err();
        assert_eq!(error, "input `x`: shape [2] needs 2 elements, but int_contents has 1");
    }
}
