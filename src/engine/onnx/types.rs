//! ONNX's element type codes (`TensorProto.DataType`) and the divvy types that they map to.

use super::proto::{DimensionValue, TensorShapeProto, TypeProto, TypeValue, ValueInfoProto};
use crate::engine::{Dim, ElementType, TensorSpec};

/// The code of 32-bit floats.
pub(crate) const FLOAT: i32 = 1;
/// The code of 64-bit integers.
pub(crate) const INT64: i32 = 7;

/// Every code of onnx.proto3: its name, its bits per element (0 for text), and the type that divvy
/// passes it as, if it can.
const TYPES: &[(i32, &str, u64, Option<ElementType>)] = &[
    (FLOAT, "float32", 32, Some(ElementType::F32)),
    (2, "uint8", 8, Some(ElementType::U8)),
    (3, "int8", 8, Some(ElementType::I8)),
    (4, "uint16", 16, Some(ElementType::U16)),
    (5, "int16", 16, Some(ElementType::I16)),
    (6, "int32", 32, Some(ElementType::I32)),
    (INT64, "int64", 64, Some(ElementType::I64)),
    (8, "string", 0, Some(ElementType::String)),
    (9, "bool", 8, Some(ElementType::Bool)),
    (10, "float16", 16, Some(ElementType::F16)),
    (11, "float64", 64, Some(ElementType::F64)),
    (12, "uint32", 32, Some(ElementType::U32)),
    (13, "uint64", 64, Some(ElementType::U64)),
    (14, "complex64", 64, None),
    (15, "complex128", 128, None),
    (16, "bfloat16", 16, Some(ElementType::BF16)),
    (17, "float8e4m3fn", 8, None),
    (18, "float8e4m3fnuz", 8, None),
    (19, "float8e5m2", 8, None),
    (20, "float8e5m2fnuz", 8, None),
    (21, "uint4", 4, None),
    (22, "int4", 4, None),
    (23, "float4e2m1", 4, None),
    (24, "float8e8m0", 8, None),
    (25, "uint2", 2, None),
    (26, "int2", 2, None),
];

fn entry(code: i32) -> Option<&'static (i32, &'static str, u64, Option<ElementType>)> {
    TYPES.iter().find(|entry| entry.0 == code)
}

/// Returns the bits of one element; `None` if ONNX does not define the code.
pub(crate) fn bits(code: i32) -> Option<u64> {
    entry(code).map(|entry| entry.2)
}

/// Returns the element type of a code, or the reason why divvy cannot pass it.
pub(crate) fn element(code: i32) -> Result<ElementType, String> {
    match entry(code) {
        Some((_, _, _, Some(element))) => Ok(*element),
        Some((_, name, _, None)) => {
            Err(format!("elements of type {name} cannot be passed in or out"))
        }
        None if code == 0 => Err("the file does not say its element type".to_owned()),
        None => Err(format!("element type {code} is none that ONNX has")),
    }
}

/// The type of a graph input or output.
pub(crate) enum DeclaredValue {
    /// A tensor that divvy can pass.
    Tensor(TensorSpec),
    /// Anything else, in words.
    Other(String),
}

/// Reads the type of a graph input or output.
pub(crate) fn value(info: &ValueInfoProto) -> DeclaredValue {
    let other = |words: &str| DeclaredValue::Other(words.to_owned());
    match info.r#type.as_ref().and_then(|r#type: &TypeProto| r#type.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => match element(tensor.elem_type) {
            Ok(element) => DeclaredValue::Tensor(TensorSpec {
                name: info.name.clone(),
                element,
                dims: tensor.shape.as_ref().map(dims),
            }),
            Err(reason) => DeclaredValue::Other(reason),
        },
        Some(TypeValue::Sequence(_)) => other("it is a sequence, and only tensors can be passed"),
        Some(TypeValue::Map(_)) => other("it is a map, and only tensors can be passed"),
        Some(TypeValue::SparseTensor(_)) => {
            other("it is a sparse tensor, and only dense ones can be passed")
        }
        Some(TypeValue::Optional(_)) => {
            other("it is an optional value, and only tensors can be passed")
        }
        None => other("the file does not say its type"),
    }
}

fn dims(shape: &TensorShapeProto) -> Vec<Dim> {
    shape
        .dim
        .iter()
        .map(|dim| match &dim.value {
            // Exporters write a negative size for "any size"; 0 is the size of an empty tensor.
            Some(DimensionValue::Size(size)) => {
                usize::try_from(*size).map_or(Dim::Unknown, Dim::Fixed)
            }
            // "?" is a name that exporters write for a dimension without one.
            Some(DimensionValue::Name(name)) if !name.is_empty() && name != "?" => {
                Dim::Named(name.clone())
            }
            _ => Dim::Unknown,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::onnx::proto::Dimension;

    fn read(value: Option<DimensionValue>) -> Dim {
        let shape = TensorShapeProto { dim: vec![Dimension { value }] };
        dims(&shape).remove(0)
    }

    #[test]
    fn dimension_of_size_zero_is_fixed() {
        assert_eq!(read(Some(DimensionValue::Size(0))), Dim::Fixed(0));
        assert_eq!(read(Some(DimensionValue::Size(7))), Dim::Fixed(7));
    }

    #[test]
    fn absent_or_negative_dimension_is_open() {
        assert_eq!(read(None), Dim::Unknown);
        assert_eq!(read(Some(DimensionValue::Size(-1))), Dim::Unknown);
        assert_eq!(read(Some(DimensionValue::Size(i64::MIN))), Dim::Unknown);
    }

    #[test]
    fn meaningless_dimension_names_are_dropped() {
        let named = |name: &str| read(Some(DimensionValue::Name(name.to_owned())));
        assert_eq!(named("batch"), Dim::Named("batch".to_owned()));
        assert_eq!(named("?"), Dim::Unknown);
        assert_eq!(named(""), Dim::Unknown);
    }

    #[test]
    fn size_zero_survives_encoding() {
        use prost::Message;
        let shape =
            TensorShapeProto { dim: vec![Dimension { value: Some(DimensionValue::Size(0)) }] };
        let decoded = TensorShapeProto::decode(shape.encode_to_vec().as_slice()).unwrap();
        assert_eq!(dims(&decoded), [Dim::Fixed(0)]);
    }
}
