//! Writes recordings of requests, in the format that the parent module describes.

use std::collections::HashMap;
use std::io::{Cursor, Write};

use npyz::{AutoSerialize, DType, Serialize, WriterBuilder};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::requests::{ARRIVALS, GROUPS, Recording, group_prefix};
use crate::engine::{NamedTensor, Tensor, TensorData};

/// Encodes a recording as an `.npz` archive.
///
/// # Errors
/// The reason if the requests have several shapes and no arrival times, if an input has a reserved name, or if
/// `NumPy` has no such element type.
pub fn encode_requests(recording: &Recording) -> Result<Vec<u8>, String> {
    let Recording { requests, arrivals } = recording;
    let groups = group_by_shape(requests);
    if groups.is_empty() {
        return Err("there is no request to record".to_owned());
    }
    if groups.len() > 1 && arrivals.is_none() {
        return Err("requests of several shapes have no order without arrival times".to_owned());
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (group, number) in groups.iter().zip(1..) {
        let requests: Vec<&[NamedTensor]> =
            group.iter().filter_map(|at| requests.get(*at)).map(Vec::as_slice).collect();
        let prefix = group_prefix(number);
        add_inputs(&mut archive, &prefix, &requests)?;
        if let Some(arrivals) = arrivals {
            let micros = group.iter().filter_map(|at| arrivals.get(*at));
            let micros = micros.map(|arrival| arrival.as_micros() as i64);
            let times = array(&[group.len() as u64], micros)?;
            add(&mut archive, &format!("{prefix}{ARRIVALS}"), &times)?;
        }
    }
    archive.finish().map(Cursor::into_inner).map_err(|error| error.to_string())
}

/// Returns the positions of the requests, grouped by the names, types and shapes of their inputs.
fn group_by_shape(requests: &[Vec<NamedTensor>]) -> Vec<Vec<usize>> {
    let mut numbers = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let form = |input: &'_ NamedTensor| {
            (input.name.clone(), input.tensor.element(), input.tensor.shape().to_vec())
        };
        let forms: Vec<_> = request.iter().map(form).collect();
        let number = *numbers.entry(forms).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// Adds the inputs of requests of one shape, one array per input.
fn add_inputs(
    archive: &mut ZipWriter<Cursor<Vec<u8>>>,
    prefix: &str,
    requests: &[&[NamedTensor]],
) -> Result<(), String> {
    for (index, NamedTensor { name, .. }) in
        requests.first().into_iter().copied().flatten().enumerate()
    {
        if name == ARRIVALS || name.starts_with(GROUPS) {
            return Err(format!("the name of the input `{name}` is reserved in recordings"));
        }
        let inputs = requests.iter().filter_map(|request| request.get(index));
        let tensors: Vec<&Tensor> = inputs.map(|input| &input.tensor).collect();
        let bytes = stack(&tensors).map_err(|reason| format!("the input `{name}`: {reason}"))?;
        add(archive, &format!("{prefix}{name}"), &bytes)?;
    }
    Ok(())
}

fn add(archive: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, bytes: &[u8]) -> Result<(), String> {
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .large_file(u32::try_from(bytes.len()).is_err());
    archive.start_file(format!("{name}.npy"), options).map_err(|error| error.to_string())?;
    archive.write_all(bytes).map_err(|error| error.to_string())
}

/// Encodes tensors of one shape as one array, with one more dimension in front.
fn stack(tensors: &[&Tensor]) -> Result<Vec<u8>, String> {
    let Some(first) = tensors.first() else { return Err("it has no values".to_owned()) };
    let mut shape = vec![tensors.len() as u64];
    shape.extend(first.shape().iter().map(|size| *size as u64));
    macro_rules! values {
        ($variant:ident) => {
            tensors
                .iter()
                .filter_map(|tensor| match tensor.data() {
                    TensorData::$variant(values) => Some(values.iter()),
                    _ => None,
                })
                .flatten()
        };
    }
    match first.data() {
        TensorData::Bool(_) => array(&shape, values!(Bool).copied()),
        TensorData::I8(_) => array(&shape, values!(I8).copied()),
        TensorData::I16(_) => array(&shape, values!(I16).copied()),
        TensorData::I32(_) => array(&shape, values!(I32).copied()),
        TensorData::I64(_) => array(&shape, values!(I64).copied()),
        TensorData::U8(_) => array(&shape, values!(U8).copied()),
        TensorData::U16(_) => array(&shape, values!(U16).copied()),
        TensorData::U32(_) => array(&shape, values!(U32).copied()),
        TensorData::U64(_) => array(&shape, values!(U64).copied()),
        TensorData::F16(_) => array(&shape, values!(F16).copied()),
        TensorData::F32(_) => array(&shape, values!(F32).copied()),
        TensorData::F64(_) => array(&shape, values!(F64).copied()),
        TensorData::String(_) => texts(&shape, values!(String).map(String::as_str)),
        TensorData::BF16(_) => Err("NumPy has no bfloat16".to_owned()),
    }
}

fn array<T: AutoSerialize + Serialize>(
    shape: &[u64],
    values: impl Iterator<Item = T>,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let builder = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes);
    let written = builder.begin_nd().and_then(|mut writer| {
        writer.extend(values)?;
        writer.finish()
    });
    written.map(|()| bytes).map_err(|error| error.to_string())
}

/// Encodes texts, which `NumPy` stores at the length of the longest.
fn texts<'a>(shape: &[u64], values: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    let values: Vec<&str> = values.collect();
    let longest = values.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::new();
    let dtype = format!("<U{longest}").parse().map_err(|_| "its texts are too long".to_owned())?;
    let builder = npyz::WriteOptions::<str>::new().dtype(DType::Plain(dtype)).shape(shape);
    let written = builder.writer(&mut bytes).begin_nd().and_then(|mut writer| {
        values.iter().try_for_each(|text| writer.push(text))?;
        writer.finish()
    });
    written.map(|()| bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::npy::{array_names, read_requests};
    use crate::engine::{ElementType, Signature, TensorSpec};

    fn named(name: &str, shape: &[usize], data: TensorData) -> NamedTensor {
        let tensor = Tensor::new(shape.to_vec(), data).unwrap();
        NamedTensor { name: name.to_owned(), tensor }
    }

    #[test]
    fn written_recording_is_read_back() {
        let request = |value: i64, text: &str| {
            vec![
                named("ids/0", &[1, 2], TensorData::I64(vec![value, -value])),
                named("scale", &[], TensorData::F32(vec![value as f32 / 3.0])),
                named("half", &[1], TensorData::F16(vec![half::f16::from_f32(0.5)])),
                named("on", &[1], TensorData::Bool(vec![value > 1])),
                named("text", &[1], TensorData::String(vec![text.to_owned()])),
            ]
        };
        let requests = vec![request(1, "é"), request(2, "longer"), request(3, "")];
        let arrivals = [0, 5, 9].map(Duration::from_millis).to_vec();
        let recording = Recording { requests, arrivals: Some(arrivals) };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), encode_requests(&recording).unwrap()).unwrap();
        let spec = |input: &NamedTensor| TensorSpec {
            name: input.name.clone(),
            element: input.tensor.element(),
            dims: None,
        };
        let inputs = recording.requests[0].iter().map(spec).collect();
        let signature = Signature { inputs, outputs: Vec::new() };
        assert_eq!(read_requests(file.path(), &signature).unwrap(), recording);
    }

    #[test]
    fn shapes_alternate_as_they_arrived() {
        let request = |size| vec![named("x", &[size], TensorData::U8(vec![size as u8; size]))];
        let requests: Vec<_> = [2, 1, 2, 3, 1].map(request).into();
        let arrivals = [0, 1, 2, 3, 4].map(Duration::from_micros).to_vec();
        let recording = Recording { requests: requests.clone(), arrivals: Some(arrivals) };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), encode_requests(&recording).unwrap()).unwrap();
        let spec = TensorSpec { name: "x".to_owned(), element: ElementType::U8, dims: None };
        let signature = Signature { inputs: vec![spec], outputs: Vec::new() };
        assert_eq!(read_requests(file.path(), &signature).unwrap(), recording);
        assert_eq!(array_names(file.path()).unwrap(), Some(vec!["x".to_owned()]));
        let untimed = Recording { requests, arrivals: None };
        assert!(encode_requests(&untimed).unwrap_err().contains("several shapes"));
    }

    #[test]
    fn reserved_names_are_refused() {
        for name in [ARRIVALS, "shapes/2/x"] {
            let request = vec![named(name, &[1], TensorData::U8(vec![0]))];
            let recording = Recording { requests: vec![request], arrivals: None };
            assert!(encode_requests(&recording).unwrap_err().contains("reserved"), "{name}");
        }
    }

    #[test]
    fn bfloat16_is_refused() {
        let data = TensorData::BF16(vec![half::bf16::ONE]);
        assert_eq!(data.element(), ElementType::BF16);
        let recording = Recording { requests: vec![vec![named("x", &[1], data)]], arrivals: None };
        assert!(encode_requests(&recording).unwrap_err().contains("no bfloat16"));
    }
}
