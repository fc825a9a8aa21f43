//! Recordings of requests for a replay, in the format that the parent module describes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

use zip::ZipArchive;

use super::array::{decode, fault, read_file};
use crate::engine::{EngineError, NamedTensor, Signature, Tensor, TensorData, inputs};

/// The array of a recording that holds arrival times in microseconds.
pub const ARRIVALS: &str = "arrival_us";

/// The start of the names of arrays of further groups: `shapes/2/x` has the input `x` of the requests that have
/// the second shape.
pub(super) const GROUPS: &str = "shapes/";

/// Recorded requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The inputs of each request, in the recorded order; at least one request.
    pub requests: Vec<Vec<NamedTensor>>,
    /// Arrival times relative to the first request; `None` if the file does not contain them.
    pub arrivals: Option<Vec<Duration>>,
}

/// Reads a recording for a model, and checks every request against its signature.
///
/// # Errors
/// [`EngineError::Data`] when the file cannot be read, is not a recording, lacks an input, or has
/// arrays of different lengths or decreasing arrival times; [`EngineError::Input`] when an array
/// does not fit the model's input.
pub fn read_requests(path: &Path, signature: &Signature) -> Result<Recording, EngineError> {
    let bytes = read_file(path)?;
    let arrays = if bytes.starts_with(b"PK") {
        archive(&bytes).map_err(|reason| fault(path, reason))?
    } else {
        let tensor = decode(&bytes).map_err(|reason| fault(path, reason))?;
        match signature.inputs.as_slice() {
            [only] => vec![NamedTensor { name: only.name.clone(), tensor }],
            several => {
                return Err(fault(
                    path,
                    format!(
                        "it is one array, and the model has {} inputs: record an .npz",
                        several.len()
                    ),
                ));
            }
        }
    };
    let recording = assemble(arrays, signature).map_err(|reason| fault(path, reason))?;
    for request in &recording.requests {
        inputs::check_inputs(signature, request)?;
    }
    Ok(recording)
}

/// Returns the names of the arrays in a recording, without that of the arrival times and those of further
/// groups; `None` for an
/// `.npy` file, whose one array has no name.
///
/// # Errors
/// [`EngineError::Data`] when the file cannot be read or is no recording.
pub fn array_names(path: &Path) -> Result<Option<Vec<String>>, EngineError> {
    let bytes = read_file(path)?;
    if !bytes.starts_with(b"PK") {
        return decode(&bytes).map(|_| None).map_err(|reason| fault(path, reason));
    }
    let damaged =
        |error: zip::result::ZipError| fault(path, format!("it is no .npz archive ({error})"));
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let is_input = |name: &&str| *name != ARRIVALS && split_group(name).is_none();
    let mut names = Vec::new();
    for file_name in archive.file_names() {
        let file_name = file_name.map_err(damaged)?;
        names.extend(file_name.strip_suffix(".npy").filter(is_input).map(str::to_owned));
    }
    Ok(Some(names))
}

fn archive(bytes: &[u8]) -> Result<Vec<NamedTensor>, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("it is no .npz archive ({error})");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let mut arrays = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        let file_name = entry.name().map_err(|error| damaged(&error))?.into_owned();
        let Some(name) = file_name.strip_suffix(".npy") else { continue };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| damaged(&error))?;
        let tensor = decode(&content).map_err(|reason| format!("the array `{name}`: {reason}"))?;
        arrays.push(NamedTensor { name: name.to_owned(), tensor });
    }
    Ok(arrays)
}

/// Returns the requests of all groups, in the order in which they arrived.
fn assemble(arrays: Vec<NamedTensor>, signature: &Signature) -> Result<Recording, String> {
    let mut groups: BTreeMap<u32, Vec<NamedTensor>> = BTreeMap::new();
    for NamedTensor { name, tensor } in arrays {
        let (number, name) = match split_group(&name) {
            Some((number, name)) => (number, name.to_owned()),
            None => (1, name),
        };
        groups.entry(number).or_default().push(NamedTensor { name, tensor });
    }
    // a file without any array lacks those of the inputs
    groups.entry(1).or_default();
    let is_single = groups.len() == 1;
    let mut all: Vec<(u64, Vec<NamedTensor>)> = Vec::new();
    let mut is_timed = true;
    for (number, arrays) in groups {
        let prefix = group_prefix(number);
        let RequestGroup { requests, times } = read_group(&prefix, arrays, signature)?;
        if times.is_none() && !is_single {
            return Err(format!("it has no array `{prefix}{ARRIVALS}`, which orders its shapes"));
        }
        is_timed &= times.is_some();
        let times = times.into_iter().flatten().chain(std::iter::repeat(0));
        all.extend(times.zip(requests));
    }
    // Requests of one time keep the order of their groups.
    all.sort_by_key(|(time, _)| *time);
    let first = all.first().map_or(0, |(time, _)| *time);
    let since = |(time, _): &(u64, _)| Duration::from_micros(*time - first);
    let arrivals = is_timed.then(|| all.iter().map(since).collect());
    Ok(Recording { requests: all.into_iter().map(|(_, request)| request).collect(), arrivals })
}

/// The requests of one group, whose inputs have one shape.
struct RequestGroup {
    requests: Vec<Vec<NamedTensor>>,
    /// Their arrival times in microseconds.
    times: Option<Vec<u64>>,
}

/// Reads the requests of one group; `prefix` is the start of the names of its arrays.
fn read_group(
    prefix: &str,
    arrays: Vec<NamedTensor>,
    signature: &Signature,
) -> Result<RequestGroup, String> {
    let (arrivals, arrays): (Vec<_>, Vec<_>) =
        arrays.into_iter().partition(|array| array.name == ARRIVALS);
    let mut count = None;
    let mut streams = Vec::with_capacity(signature.inputs.len());
    for spec in &signature.inputs {
        let name = format!("{prefix}{}", spec.name);
        let Some(array) = arrays.iter().find(|array| array.name == spec.name) else {
            let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
            return Err(format!(
                "it has no array for the input `{name}`, only {}",
                if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
            ));
        };
        let Some((length, _)) = array.tensor.shape().split_first() else {
            return Err(format!(
                "the array `{name}` is a scalar, where its first dimension should be the requests"
            ));
        };
        match count {
            None => count = Some(*length),
            Some(count) if count != *length => {
                return Err(format!(
                    "the array `{name}` holds {length} requests, where others hold {count}"
                ));
            }
            Some(_) => {}
        }
        streams.push(split(&spec.name, &array.tensor)?.into_iter());
    }
    let count = count.unwrap_or(0);
    if count == 0 {
        return Err("it holds no request".to_owned());
    }
    let requests = (0..count)
        .map(|_| streams.iter_mut().filter_map(Iterator::next).collect::<Vec<NamedTensor>>())
        .collect();
    let times = arrivals.first().map(|array| times(&array.tensor, count)).transpose()?;
    Ok(RequestGroup { requests, times })
}

/// Returns the number of the group and the name of an array's input; `None` for an array of the first group.
fn split_group(array: &str) -> Option<(u32, &str)> {
    let (number, name) = array.strip_prefix(GROUPS)?.split_once('/')?;
    Some((number.parse().ok()?, name))
}

/// Returns the start of the names of a group's arrays. The first group has none.
pub(super) fn group_prefix(number: u32) -> String {
    if number == 1 { String::new() } else { format!("{GROUPS}{number}/") }
}

/// Cuts a tensor along its first dimension.
fn split(name: &str, tensor: &Tensor) -> Result<Vec<NamedTensor>, String> {
    let Some((count, shape)) = tensor.shape().split_first() else { return Ok(Vec::new()) };
    let size: usize = shape.iter().product();
    macro_rules! pieces {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(TensorData::$variant(values) => (0..*count)
                    .map(|index| values.get(index * size..(index + 1) * size))
                    .map(|piece| piece.map(|piece| TensorData::$variant(piece.to_vec())))
                    .collect::<Vec<Option<TensorData>>>(),)*
            }
        };
    }
    let pieces = pieces!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64, String);
    pieces
        .into_iter()
        .map(|piece| {
            piece
                .and_then(|data| Tensor::new(shape.to_vec(), data))
                .map(|tensor| NamedTensor { name: name.to_owned(), tensor })
                .ok_or_else(|| format!("the array `{name}` does not fill its shape"))
        })
        .collect()
}

fn times(tensor: &Tensor, count: usize) -> Result<Vec<u64>, String> {
    let whole = |reason: &str| format!("the array `{ARRIVALS}` {reason}");
    let micros: Vec<u64> = match tensor.data() {
        TensorData::U64(values) => values.clone(),
        TensorData::I64(values) => values
            .iter()
            .map(|value| u64::try_from(*value))
            .collect::<Result<_, _>>()
            .map_err(|_| whole("has a negative time"))?,
        other => {
            return Err(whole(&format!("is of {}, where int64 is needed", other.element())));
        }
    };
    if tensor.shape().len() != 1 || micros.len() != count {
        return Err(whole(&format!("has {} times for {count} requests", micros.len())));
    }
    if !micros.is_sorted() {
        return Err(whole("falls; arrivals must be in order"));
    }
    Ok(micros)
}
