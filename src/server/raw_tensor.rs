//! Input tensors in binary form, read from pieces straight into the tensor's buffer.

use super::bytes_tensor::BytesReader;
use super::datatype::datatype;
use super::serve_error::ServeError;
use crate::engine::{ElementType, NamedTensor, Tensor, TensorData};

/// An input whose bytes arrive in pieces. Each byte is copied once.
pub struct RawTensor {
    input: String,
    shape: Vec<usize>,
    elements: RawElements,
}

/// The elements that have arrived.
enum RawElements {
    /// Elements of a fixed size, and the bytes of them that have arrived.
    Sized {
        data: TensorData,
        filled: usize,
    },
    Bool(Vec<bool>),
    Text(BytesReader),
}

impl RawTensor {
    /// Creates the tensor of an input whose binary form has `size` bytes.
    ///
    /// # Errors
    /// If `size` does not fit the type and the shape. All errors name the input.
    pub fn new(
        input: String,
        element: ElementType,
        shape: Vec<usize>,
        size: usize,
    ) -> Result<Self, ServeError> {
        let count = count_elements(&input, &shape)?;
        if let Some(each) = element.size()
            && count.checked_mul(each) != Some(size)
        {
            return Err(ServeError::bad_request(format!(
                "input `{input}`: shape {shape:?} of {} needs {} bytes, but {size} are given",
                datatype(element),
                count as u128 * each as u128
            )));
        }
        let elements = match element {
            ElementType::Bool => RawElements::Bool(Vec::with_capacity(count)),
            ElementType::String => RawElements::Text(BytesReader::new(&input, count, size)?),
            _ => RawElements::Sized { data: TensorData::zeroed(element, count), filled: 0 },
        };
        Ok(Self { input, shape, elements })
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// If there are more bytes than the tensor has, a boolean is neither 0 nor 1, or an element of BYTES
    /// cannot be read.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ServeError> {
        let fault =
            |reason: &str| ServeError::bad_request(format!("input `{}`: {reason}", self.input));
        match &mut self.elements {
            RawElements::Sized { data, filled } => {
                let end = *filled + piece.len();
                data.as_bytes_mut()
                    .and_then(|bytes| bytes.get_mut(*filled..end))
                    .ok_or_else(|| fault("it has more bytes than it announces"))?
                    .copy_from_slice(piece);
                *filled = end;
            }
            RawElements::Bool(values) => {
                if piece.len() > values.capacity() - values.len() {
                    return Err(fault("it has more bytes than it announces"));
                }
                if piece.iter().any(|byte| *byte > 1) {
                    return Err(fault("a BOOL element is neither 0 nor 1"));
                }
                values.extend(piece.iter().map(|byte| *byte == 1));
            }
            RawElements::Text(reader) => reader.push(&self.input, piece)?,
        }
        Ok(())
    }

    /// Returns the tensor.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn finish(self) -> Result<NamedTensor, ServeError> {
        let Self { input, shape, elements } = self;
        let data = match elements {
            RawElements::Sized { data, filled } => (filled == data.bytes()).then_some(data),
            RawElements::Bool(values) => Some(TensorData::Bool(values)),
            RawElements::Text(reader) => Some(TensorData::String(reader.finish(&input)?)),
        };
        let tensor = data.and_then(|data| Tensor::new(shape, data)).ok_or_else(|| {
            ServeError::bad_request(format!("input `{input}`: the request ends before its bytes"))
        })?;
        Ok(NamedTensor { name: input, tensor })
    }
}

/// Returns the memory of a tensor in bytes. A text costs its place beside its bytes.
pub(super) fn memory_of(tensor: &Tensor) -> u64 {
    let places = match tensor.data() {
        TensorData::String(texts) => size_of_val(texts.as_slice()),
        _ => 0,
    };
    (tensor.bytes() + places) as u64
}

/// Returns the number of elements of a shape.
///
/// # Errors
/// If the number is too large for this machine. The message names the input.
pub fn count_elements(input: &str, shape: &[usize]) -> Result<usize, ServeError> {
    shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim)).ok_or_else(|| {
        ServeError::bad_request(format!("input `{input}`: shape {shape:?} has too many elements"))
    })
}

/// The most dimensions of an input, as in `NumPy`.
const MOST_DIMENSIONS: usize = 64;

/// Returns the shape of a tensor from the numbers that a client sent.
///
/// # Errors
/// If a dimension is negative, or there are more than 64. The message names the input.
pub fn read_shape(input: &str, dims: &[i64]) -> Result<Vec<usize>, ServeError> {
    if dims.len() > MOST_DIMENSIONS {
        return Err(ServeError::bad_request(format!(
            "input `{input}`: its shape has {} dimensions, more than {MOST_DIMENSIONS}",
            dims.len()
        )));
    }
    let dim = |dim: &i64| usize::try_from(*dim).ok();
    dims.iter().map(dim).collect::<Option<_>>().ok_or_else(|| {
        ServeError::bad_request(format!("input `{input}`: shape {dims:?} has a negative dimension"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        element: ElementType,
        shape: &[usize],
        bytes: &[u8],
        size: usize,
    ) -> Result<NamedTensor, ServeError> {
        let mut raw = RawTensor::new("x".to_owned(), element, shape.to_vec(), size)?;
        for piece in bytes.chunks(3) {
            raw.push(piece)?;
        }
        raw.finish()
    }

    #[test]
    fn every_type_is_read_from_pieces() {
        for element in ElementType::ALL {
            let each = element.size().unwrap_or(5);
            let bytes: Vec<u8> = match element {
                ElementType::String => [1, 0, 0, 0, b'a'].repeat(6),
                _ => (0..each * 6).map(|at| (at % 2) as u8).collect(),
            };
            let read = read(element, &[2, 3], &bytes, bytes.len()).unwrap();
            assert_eq!((read.tensor.element(), read.tensor.shape()), (element, &[2, 3][..]));
            match read.tensor.data().as_bytes() {
                Some(read) => assert_eq!(read, bytes, "{element}"),
                None => {
                    assert_eq!(*read.tensor.data(), TensorData::String(vec!["a".to_owned(); 6]));
                }
            }
        }
    }

    #[test]
    fn faults_name_the_input() {
        let error = |result: Result<NamedTensor, ServeError>| result.unwrap_err().message;
        let f32 = ElementType::F32;
        assert_eq!(
            error(read(f32, &[2], &[0; 4], 4)),
            "input `x`: shape [2] of FP32 needs 8 bytes, but 4 are given"
        );
        let short = error(read(f32, &[2], &[0; 4], 8));
        assert_eq!(short, "input `x`: the request ends before its bytes");
        assert!(error(read(f32, &[1], &[0; 5], 4)).contains("more bytes than it announces"));
        assert!(error(read(ElementType::Bool, &[1], &[2], 1)).contains("neither 0 nor 1"));
        let huge = read(f32, &[usize::MAX, 2], &[], 0);
        assert!(error(huge).contains("too many elements"));
        assert!(read_shape("x", &[2, -1]).unwrap_err().message.contains("negative dimension"));
        let deep = read_shape("x", &[1; 65]).unwrap_err().message;
        assert_eq!(deep, "input `x`: its shape has 65 dimensions, more than 64");
    }
}
