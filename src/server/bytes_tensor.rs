//! Tensors of type BYTES in binary form: each element is its length (4 bytes, little-endian) and its text.

use super::serve_error::ServeError;

/// The size of an element's length, in bytes.
const LENGTH: usize = 4;

/// The most elements for which room is reserved before they have arrived.
const RESERVED: usize = 1 << 16;

/// Reads the elements of one BYTES tensor from pieces. Each byte is copied once.
pub struct BytesReader {
    elements: Vec<String>,
    /// The number of elements that the shape asks for.
    count: usize,
    /// Bytes that have not been read yet.
    left: usize,
    length: [u8; LENGTH],
    /// Bytes of `length` that have been read.
    length_read: usize,
    /// The text so far, and its length.
    text: Vec<u8>,
    text_length: usize,
}

impl BytesReader {
    /// Creates a reader of `count` elements in `size` bytes.
    ///
    /// # Errors
    /// If the lengths of so many elements do not fit into `size` bytes. All errors name the input.
    pub fn new(input: &str, count: usize, size: usize) -> Result<Self, ServeError> {
        if count.checked_mul(LENGTH).is_none_or(|least| least > size) {
            return Err(ServeError::bad_request(format!(
                "input `{input}`: {size} bytes cannot hold the {count} BYTES elements of its shape; each needs \
                 a length of 4 bytes and its text"
            )));
        }
        Ok(Self {
            elements: Vec::with_capacity(count.min(RESERVED)),
            count,
            left: size,
            length: [0; LENGTH],
            length_read: 0,
            text: Vec::new(),
            text_length: 0,
        })
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// If the bytes are more than announced, hold more elements than the shape, an element exceeds the
    /// tensor, or an element is not UTF-8.
    pub fn push(&mut self, input: &str, mut piece: &[u8]) -> Result<(), ServeError> {
        let fault = |reason: String| ServeError::bad_request(format!("input `{input}`: {reason}"));
        self.left = self
            .left
            .checked_sub(piece.len())
            .ok_or_else(|| fault("it has more bytes than it announces".to_owned()))?;
        while !piece.is_empty() || (self.length_read == LENGTH && self.text_length == 0) {
            if self.length_read < LENGTH {
                if self.elements.len() == self.count {
                    let count = self.count;
                    return Err(fault(format!(
                        "it has more than the {count} elements of its shape"
                    )));
                }
                let (head, rest) = piece.split_at(piece.len().min(LENGTH - self.length_read));
                for byte in head {
                    if let Some(slot) = self.length.get_mut(self.length_read) {
                        *slot = *byte;
                    }
                    self.length_read += 1;
                }
                piece = rest;
                if self.length_read < LENGTH {
                    return Ok(());
                }
                self.text_length = u32::from_le_bytes(self.length) as usize;
                if self.text_length > piece.len() + self.left {
                    return Err(fault(format!(
                        "element {} announces {} bytes, but only {} are left",
                        self.elements.len(),
                        self.text_length,
                        piece.len() + self.left
                    )));
                }
                self.text = Vec::with_capacity(self.text_length);
            }
            let missing = self.text_length - self.text.len();
            let (head, rest) = piece.split_at(piece.len().min(missing));
            self.text.extend_from_slice(head);
            piece = rest;
            if self.text.len() < self.text_length {
                return Ok(());
            }
            let text = String::from_utf8(std::mem::take(&mut self.text)).map_err(|_| {
                fault(format!(
                    "element {} is not UTF-8; the strings of ONNX are text",
                    self.elements.len()
                ))
            })?;
            self.elements.push(text);
            self.length_read = 0;
            self.text_length = 0;
        }
        Ok(())
    }

    /// Returns the elements.
    ///
    /// # Errors
    /// If the pieces hold fewer elements than the shape, or end within one.
    pub fn finish(self, input: &str) -> Result<Vec<String>, ServeError> {
        if self.elements.len() == self.count && self.length_read == 0 && self.left == 0 {
            return Ok(self.elements);
        }
        Err(ServeError::bad_request(format!(
            "input `{input}`: its bytes hold {} whole elements, its shape asks for {}",
            self.elements.len(),
            self.count
        )))
    }
}

/// Returns the size of the binary form in bytes.
pub fn encoded_size(elements: &[String]) -> usize {
    elements.iter().map(|text| LENGTH + text.len()).sum()
}

/// Appends the binary form.
pub fn encode(elements: &[String], bytes: &mut Vec<u8>) {
    for text in elements {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], count: usize, piece: usize) -> Result<Vec<String>, ServeError> {
        let mut reader = BytesReader::new("x", count, bytes.len())?;
        for piece in bytes.chunks(piece) {
            reader.push("x", piece)?;
        }
        reader.finish("x")
    }

    #[test]
    fn any_pieces_give_the_same_elements() {
        let elements = ["", "a", "", "größer", ""].map(str::to_owned).to_vec();
        let mut bytes = Vec::new();
        encode(&elements, &mut bytes);
        assert_eq!(bytes.len(), encoded_size(&elements));
        for piece in 1..=bytes.len() {
            assert_eq!(read(&bytes, elements.len(), piece).unwrap(), elements, "{piece}");
        }
        assert_eq!(read(&[], 0, 1).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn faults_name_the_input() {
        let faults: [(&[u8], usize, &str); 6] = [
            (&[1, 0, 0, 0], 1, "element 0 announces 1 bytes, but only 0 are left"),
            (&[255, 255, 255, 255, 1], 1, "element 0 announces 4294967295 bytes"),
            (&[1, 0, 0, 0, 255], 1, "element 0 is not UTF-8"),
            (&[0, 0, 0, 0, 0, 0, 0, 0], 1, "more than the 1 elements"),
            (&[0, 0, 0, 0, 0, 0], 1, "more than the 1 elements"),
            (&[0, 0, 0, 0], 2, "cannot hold the 2 BYTES elements"),
        ];
        for (bytes, count, message) in faults {
            let error = read(bytes, count, 3).unwrap_err().message;
            assert!(error.starts_with("input `x`: ") && error.contains(message), "{error}");
        }
    }

    #[test]
    fn announced_elements_take_no_room() {
        let reader = BytesReader::new("x", 1 << 40, 1 << 42).unwrap();
        assert_eq!(reader.elements.capacity(), RESERVED);
    }

    #[test]
    fn missing_bytes_are_a_fault() {
        let mut reader = BytesReader::new("x", 1, 9).unwrap();
        reader.push("x", &[5, 0, 0, 0, b'a']).unwrap();
        assert!(reader.finish("x").unwrap_err().message.contains("hold 0 whole elements"));
    }
}
