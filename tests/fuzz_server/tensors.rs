//! Tensors as their names, types, shapes and bytes, read without the server's own code; and random ones.

use serde_json::Value;

/// All types of the protocol.
pub(crate) const DATATYPES: [&str; 14] = [
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16",
    "BF16", "FP32", "FP64", "BYTES",
];

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlainTensor {
    pub name: String,
    pub datatype: String,
    pub shape: Vec<u64>,
    /// Its elements in binary form.
    pub bytes: Vec<u8>,
}

/// Returns the bytes of an element; `None` for BYTES.
pub(crate) fn element_size(datatype: &str) -> Option<usize> {
    match datatype {
        "BOOL" | "INT8" | "UINT8" => Some(1),
        "INT16" | "UINT16" | "FP16" | "BF16" => Some(2),
        "INT32" | "UINT32" | "FP32" => Some(4),
        "INT64" | "UINT64" | "FP64" => Some(8),
        _ => None,
    }
}

/// Returns the binary form of an element in JSON; `None` if it is none of its type.
fn element(datatype: &str, value: &Value) -> Option<Vec<u8>> {
    let whole = || value.as_u64().map(i128::from).or(value.as_i64().map(i128::from));
    let number = |size: usize, least: i128, most: i128| {
        let value = whole().filter(|value| (least..=most).contains(value))?;
        Some(value.to_le_bytes()[..size].to_vec())
    };
    let signed = |size: usize| {
        let most = (1 << (8 * size - 1)) - 1;
        number(size, -most - 1, most)
    };
    let unsigned = |size: usize| number(size, 0, (1 << (8 * size)) - 1);
    match datatype {
        "BOOL" => match value {
            Value::Bool(value) => Some(vec![u8::from(*value)]),
            _ => number(1, 0, 1),
        },
        "INT8" => signed(1),
        "INT16" => signed(2),
        "INT32" => signed(4),
        "INT64" => signed(8),
        "UINT8" => unsigned(1),
        "UINT16" => unsigned(2),
        "UINT32" => unsigned(4),
        "UINT64" => unsigned(8),
        "FP32" => {
            let value = whole().map(|whole| whole as f32).or(value.as_f64().map(|it| it as f32));
            value.map(|value| value.to_le_bytes().to_vec())
        }
        "FP64" => {
            let value = whole().map(|whole| whole as f64).or(value.as_f64());
            value.map(|value| value.to_le_bytes().to_vec())
        }
        "BYTES" => value.as_str().map(|text| text_bytes(text.as_bytes())),
        _ => None,
    }
}

/// Returns the binary form of an element of BYTES.
pub(crate) fn text_bytes(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text].concat()
}

/// Appends the elements of flat or nested lists.
fn flatten(datatype: &str, value: &Value, bytes: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|value| flatten(datatype, value, bytes)),
        value => {
            bytes.extend(element(datatype, value)?);
            Some(())
        }
    }
}

/// Reads the inputs of a request or the outputs of an answer: their JSON, and the bytes after it. `None` if they
/// are wrong.
pub(crate) fn read(list: &Value, mut rest: &[u8]) -> Option<Vec<PlainTensor>> {
    let mut tensors: Vec<PlainTensor> = Vec::new();
    for tensor in list.as_array()? {
        let datatype = tensor["datatype"].as_str()?.to_owned();
        let dims = tensor["shape"].as_array()?;
        let shape = dims.iter().map(Value::as_u64).collect::<Option<Vec<_>>>()?;
        let mut bytes = Vec::new();
        match tensor["parameters"]["binary_data_size"].as_u64() {
            Some(size) => {
                let (own, others) = rest.split_at_checked(usize::try_from(size).ok()?)?;
                (bytes, rest) = (own.to_vec(), others);
            }
            None => flatten(&datatype, tensor.get("data")?, &mut bytes)?,
        }
        tensors.push(PlainTensor {
            name: tensor["name"].as_str()?.to_owned(),
            datatype,
            shape,
            bytes,
        });
    }
    rest.is_empty().then_some(tensors)
}

/// Returns a number of most kinds, as text: in the range of the type, mostly.
pub(crate) fn random_element(random: &mut fastrand::Rng, datatype: &str) -> String {
    let odd = [
        "128",
        "-129",
        "65536",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "1.0",
        "1e400",
        "null",
        "[]",
        "\"\\ud800\"",
        "\"\"",
        "true",
    ];
    if random.u8(0..200) == 0 {
        return random.choice(odd).unwrap().to_owned();
    }
    let choices: &[&str] = match datatype {
        "BOOL" => &["true", "false", "0", "1"],
        "INT8" => &["-128", "127", "0", "-1"],
        "UINT8" => &["255", "0", "7"],
        "INT16" => &["-32768", "32767", "5"],
        "UINT16" => &["65535", "0", "300"],
        "INT32" => &["-2147483648", "2147483647", "0"],
        "UINT32" => &["4294967295", "0", "70000"],
        "INT64" => &["-9223372036854775808", "9223372036854775807", "0"],
        "UINT64" => &["18446744073709551615", "0", "1"],
        "FP32" => &["0", "-0.0", "1.5", "3.4028235e38", "1e-45", "16777217", "0.1", "-7"],
        "FP64" => &["0", "-0.0", "1e308", "5e-324", "0.1", "9007199254740993", "-7"],
        "BYTES" => &["\"\"", "\"a\"", "\"Stra\u{df}e\"", "\"\\u2603\\n\"", "\"0\""],
        _ => &["1"],
    };
    (*random.choice(choices).unwrap()).to_owned()
}

/// Returns a shape and its number of elements.
pub(crate) fn random_shape(random: &mut fastrand::Rng) -> (Vec<i64>, usize) {
    let shape: Vec<i64> = (0..random.usize(0..4)).map(|_| random.i64(0..4)).collect();
    let count = shape.iter().product::<i64>() as usize;
    (shape, count)
}

/// Returns the binary form of random elements.
pub(crate) fn random_bytes(random: &mut fastrand::Rng, datatype: &str, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        match (datatype, element_size(datatype)) {
            ("BOOL", _) => bytes.push(random.u8(0..2)),
            (_, Some(size)) => bytes.extend((0..size).map(|_| random.u8(..))),
            (_, None) => {
                let text = ["", "a", "Stra\u{df}e"][random.usize(..3)];
                bytes.extend(text_bytes(text.as_bytes()));
            }
        }
    }
    bytes
}
