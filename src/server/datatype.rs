//! The names of element types in the Open Inference Protocol.

use crate::engine::ElementType;

/// Returns the protocol's name of an element type ("FP32", "BYTES").
pub fn datatype(element: ElementType) -> &'static str {
    match element {
        ElementType::Bool => "BOOL",
        ElementType::I8 => "INT8",
        ElementType::I16 => "INT16",
        ElementType::I32 => "INT32",
        ElementType::I64 => "INT64",
        ElementType::U8 => "UINT8",
        ElementType::U16 => "UINT16",
        ElementType::U32 => "UINT32",
        ElementType::U64 => "UINT64",
        ElementType::F16 => "FP16",
        ElementType::BF16 => "BF16",
        ElementType::F32 => "FP32",
        ElementType::F64 => "FP64",
        ElementType::String => "BYTES",
    }
}

/// Returns the element type of a protocol's name; `None` if there is none of this name.
pub fn parse_datatype(name: &str) -> Option<ElementType> {
    ElementType::ALL.into_iter().find(|element| datatype(*element) == name)
}

/// Returns the names of all types, for messages: "BOOL, INT8, ...".
pub fn datatypes() -> String {
    ElementType::ALL.map(datatype).join(", ")
}

/// Returns the name of an element type in Triton's model configuration ("`TYPE_FP32`").
pub fn config_datatype(element: ElementType) -> &'static str {
    match element {
        ElementType::Bool => "TYPE_BOOL",
        ElementType::I8 => "TYPE_INT8",
        ElementType::I16 => "TYPE_INT16",
        ElementType::I32 => "TYPE_INT32",
        ElementType::I64 => "TYPE_INT64",
        ElementType::U8 => "TYPE_UINT8",
        ElementType::U16 => "TYPE_UINT16",
        ElementType::U32 => "TYPE_UINT32",
        ElementType::U64 => "TYPE_UINT64",
        ElementType::F16 => "TYPE_FP16",
        ElementType::BF16 => "TYPE_BF16",
        ElementType::F32 => "TYPE_FP32",
        ElementType::F64 => "TYPE_FP64",
        ElementType::String => "TYPE_STRING",
    }
}

/// Returns the number of an element type in Triton's model configuration over gRPC.
pub fn config_datatype_number(element: ElementType) -> i32 {
    match element {
        ElementType::Bool => 1,
        ElementType::U8 => 2,
        ElementType::U16 => 3,
        ElementType::U32 => 4,
        ElementType::U64 => 5,
        ElementType::I8 => 6,
        ElementType::I16 => 7,
        ElementType::I32 => 8,
        ElementType::I64 => 9,
        ElementType::F16 => 10,
        ElementType::F32 => 11,
        ElementType::F64 => 12,
        ElementType::String => 13,
        ElementType::BF16 => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for element in ElementType::ALL {
            assert_eq!(parse_datatype(datatype(element)), Some(element));
        }
        assert_eq!(parse_datatype("fp32"), None);
        assert_eq!(parse_datatype("FP32"), Some(ElementType::F32));
    }

    #[test]
    fn config_numbers_are_distinct() {
        let numbers: std::collections::BTreeSet<i32> =
            ElementType::ALL.map(config_datatype_number).into();
        assert_eq!(numbers, (1..=14).collect());
    }
}
