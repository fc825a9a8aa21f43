//! The JSON part of a request.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::elements::Elements;
use super::parameters::{Parameters, ParametersReader, read_parameters};
use crate::engine::{ElementType, TensorData};
use crate::server::datatype::{datatypes, parse_datatype};
use crate::server::raw_tensor::{count_elements, read_shape};
use crate::server::serve_error::ServeError;

/// The most inputs, and the most requested outputs, of a request. An empty one takes few bytes of JSON but more than
/// a hundred in memory, and each is compared with those before it.
const MOST_PARTS: usize = 4096;

/// The JSON part of a request.
#[derive(Debug, Deserialize)]
pub(super) struct RequestHead {
    /// The client's own number of the request, repeated in the answer.
    #[serde(default)]
    pub id: String,
    /// Parameters of the request.
    #[serde(default, deserialize_with = "read_parameters")]
    pub parameters: Parameters,
    /// The inputs, in the order of their binary data.
    #[serde(deserialize_with = "read_inputs")]
    pub inputs: Vec<InputHead>,
    /// The outputs to return; all if empty.
    #[serde(default, deserialize_with = "read_outputs")]
    pub outputs: Vec<OutputHead>,
}

/// An input in the JSON part of a request.
#[derive(Debug)]
pub(super) struct InputHead {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: ElementType,
    pub source: InputSource,
}

/// The place of an input's elements.
#[derive(Debug)]
pub(super) enum InputSource {
    /// They were in the JSON.
    Json(TensorData),
    /// They follow the JSON, with this many bytes.
    Binary(usize),
    /// They are in memory that client and server share, which is not supported.
    SharedMemory,
}

/// An output that a request asks for.
#[derive(Debug, Deserialize)]
pub(super) struct OutputHead {
    pub name: String,
    #[serde(default, deserialize_with = "read_parameters")]
    pub parameters: Parameters,
}

/// Reads the JSON part of a request.
///
/// # Errors
/// If it is not the JSON of a request, or its tensors have faults; the message names the input.
pub(super) fn parse(json: &[u8]) -> Result<RequestHead, ServeError> {
    serde_json::from_slice(json)
        .map_err(|error| ServeError::bad_request(format!("the request's JSON: {error}")))
}

fn read_inputs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<InputHead>, D::Error> {
    from.deserialize_seq(Inputs)
}

struct Inputs;

impl<'de> Visitor<'de> for Inputs {
    type Value = Vec<InputHead>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of inputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut inputs: Vec<InputHead> = Vec::new();
        while let Some(input) = list.next_element_seed(Input)? {
            if inputs.iter().any(|other| other.name == input.name) {
                return Err(A::Error::custom(format_args!(
                    "input `{}` is given twice",
                    input.name
                )));
            }
            inputs.push(input);
            check_number(inputs.len(), "inputs")?;
        }
        Ok(inputs)
    }
}

/// Checks the number of inputs or outputs that have been read.
fn check_number<E: Error>(number: usize, what: &str) -> Result<(), E> {
    if number > MOST_PARTS {
        return Err(E::custom(format_args!("the request has more than {MOST_PARTS} {what}")));
    }
    Ok(())
}

fn read_outputs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OutputHead>, D::Error> {
    from.deserialize_seq(Outputs)
}

struct Outputs;

impl<'de> Visitor<'de> for Outputs {
    type Value = Vec<OutputHead>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of outputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut outputs = Vec::new();
        while let Some(output) = list.next_element()? {
            outputs.push(output);
            check_number(outputs.len(), "outputs")?;
        }
        Ok(outputs)
    }
}

struct Input;

impl<'de> DeserializeSeed<'de> for Input {
    type Value = InputHead;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<InputHead, D::Error> {
        from.deserialize_map(self)
    }
}

/// The elements of an input as they were found.
enum FoundData {
    Typed(TensorData),
    /// They came before their type or shape, as text.
    Early(Box<RawValue>),
}

impl<'de> Visitor<'de> for Input {
    type Value = InputHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an input: an object with name, shape, datatype and data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InputHead, A::Error> {
        let mut name: Option<String> = None;
        let mut dims: Option<Vec<i64>> = None;
        let mut datatype: Option<String> = None;
        let mut parameters: Option<Parameters> = None;
        let mut data: Option<FoundData> = None;
        while let Some(key) = map.next_key::<String>()? {
            let is_given = match key.as_str() {
                "name" => name.is_some(),
                "shape" => dims.is_some(),
                "datatype" => datatype.is_some(),
                "parameters" => parameters.is_some(),
                "data" => data.is_some(),
                _ => false,
            };
            if is_given {
                let name = name.map_or_else(|| "an input".to_owned(), |it| format!("input `{it}`"));
                return Err(A::Error::custom(format_args!("{name} has `{key}` twice")));
            }
            match key.as_str() {
                "name" => name = Some(map.next_value()?),
                "shape" => dims = Some(map.next_value()?),
                "datatype" => datatype = Some(map.next_value()?),
                "parameters" => parameters = Some(map.next_value_seed(ParametersReader)?),
                "data" => {
                    let known = (&name, &dims, &datatype);
                    data = Some(match known {
                        (Some(name), Some(dims), Some(datatype)) => {
                            let elements = elements(name, dims, datatype).map_err(custom)?;
                            let data = map
                                .next_value_seed(elements.0)
                                .map_err(|error| of_input(name, error))?;
                            FoundData::Typed(data)
                        }
                        _ => FoundData::Early(map.next_value()?),
                    });
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let name = name.ok_or_else(|| A::Error::custom("an input has no `name`"))?;
        let missing =
            |key: &str| A::Error::custom(format_args!("input `{name}`: `{key}` is missing"));
        let dims = dims.ok_or_else(|| missing("shape"))?;
        let datatype = datatype.ok_or_else(|| missing("datatype"))?;
        let (elements, shape) = elements(&name, &dims, &datatype).map_err(custom)?;
        let element = elements.element;
        let parameters = parameters.unwrap_or_default();
        if parameters.contains_key("shared_memory_region") {
            return Ok(InputHead { name, shape, element, source: InputSource::SharedMemory });
        }
        let size = match parameters.get("binary_data_size") {
            None => None,
            Some(size) => Some(
                size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
                    A::Error::custom(format_args!(
                        "input `{name}`: `binary_data_size` must be a number of bytes"
                    ))
                })?,
            ),
        };
        let source = match (data, size) {
            (Some(_), Some(_)) => {
                return Err(A::Error::custom(format_args!(
                    "input `{name}`: it has `data` and `binary_data_size`; send only one of them"
                )));
            }
            (None, None) => return Err(missing("data")),
            (None, Some(size)) => InputSource::Binary(size),
            (Some(FoundData::Typed(data)), None) => InputSource::Json(data),
            (Some(FoundData::Early(text)), None) => {
                let mut text = serde_json::Deserializer::from_str(text.get());
                let data =
                    elements.deserialize(&mut text).map_err(|error| of_input(&name, error))?;
                InputSource::Json(data)
            }
        };
        Ok(InputHead { name, shape, element, source })
    }
}

fn custom<E: Error>(error: ServeError) -> E {
    E::custom(error.message)
}

fn of_input<E: Error>(input: &str, error: impl fmt::Display) -> E {
    let text = error.to_string();
    // The position is added once more for the whole.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    E::custom(format_args!("input `{input}`: {text}"))
}

/// Returns the reader of an input's elements, and its shape.
fn elements(
    input: &str,
    dims: &[i64],
    datatype: &str,
) -> Result<(Elements, Vec<usize>), ServeError> {
    let element = parse_datatype(datatype).ok_or_else(|| {
        let shown: String = datatype.chars().take(32).collect();
        ServeError::bad_request(format!(
            "input `{input}`: unknown datatype `{shown}`; the datatypes are {}",
            datatypes()
        ))
    })?;
    let shape = read_shape(input, dims)?;
    let count = count_elements(input, &shape)?;
    Ok((Elements { element, count }, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_may_come_before_its_type() {
        let json = br#"{"inputs":[{"data":[[1],[2]],"name":"x","datatype":"INT8","shape":[2,1]}]}"#;
        let head = parse(json).unwrap();
        let input = &head.inputs[0];
        assert_eq!((input.name.as_str(), input.shape.as_slice()), ("x", &[2, 1][..]));
        assert!(
            matches!(&input.source, InputSource::Json(TensorData::I8(data)) if *data == [1, 2])
        );
    }

    #[test]
    fn binary_inputs_announce_their_size() {
        let json = br#"{"id":"7","inputs":[{"name":"x","datatype":"FP16","shape":[3],
            "parameters":{"binary_data_size":6}}],"outputs":[{"name":"y"}],"extra":{"a":[1]}}"#;
        let head = parse(json).unwrap();
        assert_eq!((head.id.as_str(), head.outputs[0].name.as_str()), ("7", "y"));
        assert!(matches!(head.inputs[0].source, InputSource::Binary(6)));
    }

    #[test]
    fn faults_name_the_input() {
        let faults = [
            (
                r#"{"name":"x","shape":[1],"datatype":"INT8","data":[300]}"#,
                "input `x`: element 0 of",
            ),
            (
                r#"{"data":[300],"name":"x","shape":[1],"datatype":"INT8"}"#,
                "input `x`: element 0 of",
            ),
            (r#"{"name":"x","shape":[-1],"datatype":"INT8","data":[]}"#, "negative dimension"),
            (r#"{"name":"x","shape":[1],"datatype":"int8","data":[1]}"#, "unknown datatype `int8`"),
            (r#"{"name":"x","datatype":"INT8","data":[1]}"#, "input `x`: `shape` is missing"),
            (r#"{"name":"x","shape":[1],"datatype":"INT8"}"#, "input `x`: `data` is missing"),
            (r#"{"shape":[1],"datatype":"INT8","data":[1]}"#, "has no `name`"),
            (r#"{"name":"x","shape":[1],"datatype":"INT8","data":[NaN]}"#, "expected value"),
        ];
        for (input, expected) in faults {
            let error = parse(format!("{{\"inputs\":[{input}]}}").as_bytes()).unwrap_err();
            assert_eq!(error.kind, crate::server::serve_error::ErrorKind::BadRequest);
            assert!(error.message.contains(expected), "{}", error.message);
        }
        let twice = br#"{"inputs":[{"name":"x","shape":[0],"datatype":"INT8","data":[]},
            {"name":"x","shape":[0],"datatype":"INT8","data":[]}]}"#;
        assert!(parse(twice).unwrap_err().message.contains("input `x` is given twice"));
    }

    #[test]
    fn member_given_twice_is_refused() {
        let members = [
            (r#""datatype":"FP32""#, "input `x` has `datatype` twice"),
            (r#""shape":[2]"#, "input `x` has `shape` twice"),
            (r#""data":[2]"#, "input `x` has `data` twice"),
        ];
        for (member, expected) in members {
            let json = format!(
                r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"INT8","data":[1],{member}}}]}}"#
            );
            let error = parse(json.as_bytes()).unwrap_err();
            assert!(error.message.contains(expected), "{}", error.message);
        }
    }

    #[test]
    fn number_of_parts_is_limited() {
        let inputs = |count: usize| -> Vec<String> {
            let input =
                |at| format!(r#"{{"name":"{at}","shape":[0],"datatype":"INT8","data":[]}}"#);
            (0..count).map(input).collect()
        };
        let parse_inputs =
            |count| parse(format!(r#"{{"inputs":[{}]}}"#, inputs(count).join(",")).as_bytes());
        assert_eq!(parse_inputs(MOST_PARTS).unwrap().inputs.len(), MOST_PARTS);
        let error = parse_inputs(MOST_PARTS + 1).unwrap_err().message;
        assert!(error.contains("more than 4096 inputs"), "{error}");
        let outputs = vec![r#"{"name":"y"}"#; MOST_PARTS + 1].join(",");
        let json = format!(r#"{{"inputs":[],"outputs":[{outputs}]}}"#);
        assert!(parse(json.as_bytes()).unwrap_err().message.contains("more than 4096 outputs"));
    }

    #[test]
    fn shared_memory_needs_no_data() {
        let json = br#"{"inputs":[{"name":"x","shape":[0],"datatype":"INT8",
            "parameters":{"shared_memory_region":"r"}}]}"#;
        assert!(matches!(parse(json).unwrap().inputs[0].source, InputSource::SharedMemory));
    }

    #[test]
    fn deep_lists_are_refused() {
        let data = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let json =
            format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"INT8","data":{data}}}]}}"#);
        assert!(parse(json.as_bytes()).unwrap_err().message.contains("recursion limit"));
    }
}
