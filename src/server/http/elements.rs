//! The elements of a tensor in JSON: flat or nested lists, read straight into their type.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use crate::engine::{ElementType, TensorData};
use crate::server::datatype::datatype;

/// A type of elements that has a form in JSON.
trait JsonElement: Sized {
    /// The elements that are expected, for messages.
    const EXPECTED: &'static str;

    fn from_u64(_: u64) -> Option<Self> {
        None
    }

    fn from_i64(_: i64) -> Option<Self> {
        None
    }

    fn from_f64(_: f64) -> Option<Self> {
        None
    }

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }
}

macro_rules! whole_numbers {
    ($($type:ty, $expected:literal;)*) => {$(
        impl JsonElement for $type {
            const EXPECTED: &'static str = $expected;

            fn from_u64(value: u64) -> Option<Self> {
                Self::try_from(value).ok()
            }

            fn from_i64(value: i64) -> Option<Self> {
                Self::try_from(value).ok()
            }
        }
    )*};
}

whole_numbers! {
    i8, "whole numbers from -128 to 127";
    i16, "whole numbers from -32768 to 32767";
    i32, "whole numbers from -2147483648 to 2147483647";
    i64, "whole numbers of 64 bits";
    u8, "whole numbers from 0 to 255";
    u16, "whole numbers from 0 to 65535";
    u32, "whole numbers from 0 to 4294967295";
    u64, "whole numbers of 64 bits from 0";
}

impl JsonElement for f32 {
    const EXPECTED: &'static str = "numbers in the range of FP32";

    fn from_u64(value: u64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_f64(value: f64) -> Option<Self> {
        Some(value as Self).filter(|value| value.is_finite())
    }
}

impl JsonElement for f64 {
    const EXPECTED: &'static str = "numbers in the range of FP64";

    fn from_u64(value: u64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_f64(value: f64) -> Option<Self> {
        Some(value)
    }
}

impl JsonElement for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_u64(value: u64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl JsonElement for String {
    const EXPECTED: &'static str = "strings";

    fn from_text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

/// Reads the elements of a tensor of a known type.
#[derive(Clone, Copy)]
pub(super) struct Elements {
    /// Their type; FP16 and BF16 have no form in JSON.
    pub element: ElementType,
    /// Their number by the shape.
    pub count: usize,
}

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = TensorData;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<TensorData, D::Error> {
        let count = self.count;
        Ok(match self.element {
            ElementType::Bool => TensorData::Bool(read(count, from)?),
            ElementType::I8 => TensorData::I8(read(count, from)?),
            ElementType::I16 => TensorData::I16(read(count, from)?),
            ElementType::I32 => TensorData::I32(read(count, from)?),
            ElementType::I64 => TensorData::I64(read(count, from)?),
            ElementType::U8 => TensorData::U8(read(count, from)?),
            ElementType::U16 => TensorData::U16(read(count, from)?),
            ElementType::U32 => TensorData::U32(read(count, from)?),
            ElementType::U64 => TensorData::U64(read(count, from)?),
            ElementType::F32 => TensorData::F32(read(count, from)?),
            ElementType::F64 => TensorData::F64(read(count, from)?),
            ElementType::String => TensorData::String(read(count, from)?),
            ElementType::F16 | ElementType::BF16 => {
                return Err(D::Error::custom(format_args!(
                    "{} has no form in JSON; send it as binary data",
                    datatype(self.element)
                )));
            }
        })
    }
}

/// The largest number of elements for which room is reserved before they have arrived.
const RESERVED: usize = 1 << 16;

fn read<'de, T: JsonElement, D: Deserializer<'de>>(
    count: usize,
    from: D,
) -> Result<Vec<T>, D::Error> {
    let mut values = Vec::with_capacity(count.min(RESERVED));
    from.deserialize_seq(List { values: &mut values, count })?;
    if values.len() == count {
        return Ok(values);
    }
    Err(D::Error::custom(format_args!(
        "`data` has {} elements, its shape asks for {count}",
        values.len()
    )))
}

/// Reads a list, or one element of it.
struct List<'a, T> {
    values: &'a mut Vec<T>,
    count: usize,
}

impl<T: JsonElement> List<'_, T> {
    fn push<E: Error>(self, value: Option<T>, text: impl fmt::Display) -> Result<(), E> {
        if self.values.len() >= self.count {
            let count = self.count;
            return Err(E::custom(format_args!(
                "`data` has more than the {count} elements of its shape"
            )));
        }
        let at = self.values.len();
        self.values.push(value.ok_or_else(|| {
            E::custom(format_args!("element {at} of `data` is {text}, expected {}", T::EXPECTED))
        })?);
        Ok(())
    }
}

impl<'de, T: JsonElement> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: JsonElement> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", T::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(()) =
            list.next_element_seed(List { values: &mut *self.values, count: self.count })?
        {}
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(T::from_u64(value), value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(T::from_i64(value), value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(T::from_f64(value), value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(T::from_bool(value), value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let shown: String = value.chars().take(32).collect();
        self.push(T::from_text(value), format_args!("{shown:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(element: ElementType, count: usize, json: &str) -> Result<TensorData, String> {
        let mut from = serde_json::Deserializer::from_str(json);
        Elements { element, count }.deserialize(&mut from).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_lists_are_flattened() {
        let nested = parse(ElementType::I32, 4, "[[1,2],[3,-4]]").unwrap();
        assert_eq!(nested, TensorData::I32(vec![1, 2, 3, -4]));
        let texts = parse(ElementType::String, 2, r#"["a","é"]"#).unwrap();
        assert_eq!(texts, TensorData::String(vec!["a".to_owned(), "é".to_owned()]));
        assert_eq!(parse(ElementType::F32, 1, "[2]").unwrap(), TensorData::F32(vec![2.0]));
    }

    #[test]
    fn numbers_keep_64_bits() {
        let large = format!("[{}]", u64::MAX);
        assert_eq!(parse(ElementType::U64, 1, &large).unwrap(), TensorData::U64(vec![u64::MAX]));
        let small = format!("[{}]", i64::MIN);
        assert_eq!(parse(ElementType::I64, 1, &small).unwrap(), TensorData::I64(vec![i64::MIN]));
    }

    #[test]
    fn wrong_elements_are_refused() {
        let faults = [
            (ElementType::I8, 1, "[128]", "element 0 of `data` is 128, expected whole numbers"),
            (ElementType::I32, 2, "[0, 1.5]", "element 1 of `data` is 1.5"),
            (ElementType::U8, 1, "[-1]", "is -1, expected whole numbers from 0"),
            (ElementType::F32, 1, "[1e39]", "in the range of FP32"),
            (ElementType::Bool, 1, "[2]", "expected true or false"),
            (ElementType::String, 1, "[1]", "expected strings"),
            (ElementType::F32, 2, "[1]", "has 1 elements, its shape asks for 2"),
            (ElementType::F32, 1, "[1, 2]", "more than the 1 elements"),
            (ElementType::F16, 1, "[1]", "FP16 has no form in JSON; send it as binary data"),
            (ElementType::F32, 1, "3", "a list of numbers"),
        ];
        for (element, count, json, expected) in faults {
            let error = parse(element, count, json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
