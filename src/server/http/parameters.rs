//! The parameters of a request, an input or an output in JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Parameters by name. Lists and objects are empty: no parameter of the protocol has one.
pub(super) type Parameters = serde_json::Map<String, Value>;

/// The most parameters in one place. An empty one takes few bytes of JSON but more than a hundred in memory.
const MOST_PARAMETERS: usize = 256;

/// Reads parameters.
pub(super) fn read_parameters<'de, D: Deserializer<'de>>(from: D) -> Result<Parameters, D::Error> {
    from.deserialize_map(ParametersReader)
}

/// Reads parameters.
pub(super) struct ParametersReader;

impl<'de> DeserializeSeed<'de> for ParametersReader {
    type Value = Parameters;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Parameters, D::Error> {
        read_parameters(from)
    }
}

impl<'de> Visitor<'de> for ParametersReader {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::new();
        while let Some(name) = map.next_key()? {
            parameters.insert(name, map.next_value_seed(PlainValue)?);
            if parameters.len() > MOST_PARAMETERS {
                return Err(A::Error::custom(format_args!(
                    "there are more than {MOST_PARAMETERS} parameters in one place"
                )));
            }
        }
        Ok(parameters)
    }
}

/// Reads a value, but not what is in its lists and objects.
struct PlainValue;

impl<'de> DeserializeSeed<'de> for PlainValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PlainValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(Parameters::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> Result<Parameters, serde_json::Error> {
        read_parameters(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn plain_values_are_kept() {
        let json = r#"{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":0.5,"f":"x"}"#;
        let expected = json!({"a": null, "b": true, "c": -1, "d": u64::MAX, "e": 0.5, "f": "x"});
        assert_eq!(Value::Object(read(json).unwrap()), expected);
    }

    #[test]
    fn lists_are_not_kept() {
        let read = read(r#"{"a":[1,[2],{"b":3}],"c":{"d":[]}}"#).unwrap();
        assert_eq!(Value::Object(read), json!({"a": [], "c": {}}));
    }

    #[test]
    fn number_of_parameters_is_limited() {
        let json = |count: usize| {
            let members: Vec<String> = (0..count).map(|at| format!("\"{at}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(read(&json(MOST_PARAMETERS)).unwrap().len(), MOST_PARAMETERS);
        let error = read(&json(MOST_PARAMETERS + 1)).unwrap_err().to_string();
        assert!(error.contains("more than 256 parameters"), "{error}");
    }
}
