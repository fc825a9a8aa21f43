//! Tensors as little-endian bytes, which clients send and receive: read and written in place, without a
//! copy.

use bytemuck::{cast_slice, cast_slice_mut};

use super::tensor::{ElementType, TensorData};

// Elements are read and written as they are in memory.
const _: () = assert!(cfg!(target_endian = "little"), "divvy needs a little-endian machine");

impl TensorData {
    /// Returns `count` elements of value zero (false, empty text).
    pub fn zeroed(element: ElementType, count: usize) -> Self {
        match element {
            ElementType::Bool => Self::Bool(vec![false; count]),
            ElementType::I8 => Self::I8(vec![0; count]),
            ElementType::I16 => Self::I16(vec![0; count]),
            ElementType::I32 => Self::I32(vec![0; count]),
            ElementType::I64 => Self::I64(vec![0; count]),
            ElementType::U8 => Self::U8(vec![0; count]),
            ElementType::U16 => Self::U16(vec![0; count]),
            ElementType::U32 => Self::U32(vec![0; count]),
            ElementType::U64 => Self::U64(vec![0; count]),
            ElementType::F16 => Self::F16(bytemuck::zeroed_vec(count)),
            ElementType::BF16 => Self::BF16(bytemuck::zeroed_vec(count)),
            ElementType::F32 => Self::F32(vec![0.0; count]),
            ElementType::F64 => Self::F64(vec![0.0; count]),
            ElementType::String => Self::String(vec![String::new(); count]),
        }
    }

    /// Returns the elements as bytes; `None` for strings.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        Some(match self {
            Self::Bool(values) => cast_slice(values),
            Self::I8(values) => cast_slice(values),
            Self::I16(values) => cast_slice(values),
            Self::I32(values) => cast_slice(values),
            Self::I64(values) => cast_slice(values),
            Self::U8(values) => values,
            Self::U16(values) => cast_slice(values),
            Self::U32(values) => cast_slice(values),
            Self::U64(values) => cast_slice(values),
            Self::F16(values) => cast_slice(values),
            Self::BF16(values) => cast_slice(values),
            Self::F32(values) => cast_slice(values),
            Self::F64(values) => cast_slice(values),
            Self::String(_) => return None,
        })
    }

    /// Returns the elements as bytes to fill in; `None` for strings and for booleans, of which not every
    /// byte is one.
    pub fn as_bytes_mut(&mut self) -> Option<&mut [u8]> {
        Some(match self {
            Self::I8(values) => cast_slice_mut(values),
            Self::I16(values) => cast_slice_mut(values),
            Self::I32(values) => cast_slice_mut(values),
            Self::I64(values) => cast_slice_mut(values),
            Self::U8(values) => values,
            Self::U16(values) => cast_slice_mut(values),
            Self::U32(values) => cast_slice_mut(values),
            Self::U64(values) => cast_slice_mut(values),
            Self::F16(values) => cast_slice_mut(values),
            Self::BF16(values) => cast_slice_mut(values),
            Self::F32(values) => cast_slice_mut(values),
            Self::F64(values) => cast_slice_mut(values),
            Self::Bool(_) | Self::String(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_little_endian() {
        let mut data = TensorData::zeroed(ElementType::I32, 2);
        data.as_bytes_mut().unwrap().copy_from_slice(&[1, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(data, TensorData::I32(vec![1, 256]));
        assert_eq!(TensorData::Bool(vec![true, false]).as_bytes().unwrap(), [1, 0]);
    }

    #[test]
    fn every_type_starts_as_zeros() {
        for element in ElementType::ALL {
            let data = TensorData::zeroed(element, 3);
            assert_eq!((data.element(), data.len()), (element, 3));
            assert!(data.as_bytes().is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)));
        }
    }
}
