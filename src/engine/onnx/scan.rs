//! A reader of protobuf messages in a file. It skips fields that are not requested, so that the
//! weights of a large model are not read.

use std::io::{BufReader, Read, Seek};

/// Maximum size in bytes of a field that is read whole. The type of a value is far smaller.
const LARGEST_FIELD: u64 = 1 << 24;

/// The encoding of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// A variable-length integer; it was read already.
    Varint,
    /// So many bytes that follow.
    Bytes(u64),
}

/// A field's number and the encoding of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WireField {
    pub(super) number: u64,
    pub(super) wire: Wire,
}

/// Reads fields one after the other.
pub(super) struct Scanner<R> {
    reader: BufReader<R>,
    /// Bytes read or skipped so far.
    position: u64,
    /// Bytes of the whole file.
    size: u64,
}

impl<R: Read + Seek> Scanner<R> {
    /// Creates a scanner at the beginning of a file of `size` bytes.
    pub(super) fn new(file: R, size: u64) -> Self {
        Self { reader: BufReader::new(file), position: 0, size }
    }

    /// Returns the position of the first byte after `length` more bytes.
    ///
    /// # Errors
    /// The file ends before.
    pub(super) fn end_of(&self, length: u64) -> Result<u64, String> {
        self.position
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or_else(|| "it is cut short".to_owned())
    }

    /// Returns the next field of the message that ends at `end`, or `None` at its end.
    ///
    /// # Errors
    /// A reason if the file cannot be read, or the bytes are no protobuf message.
    pub(super) fn next_field(&mut self, end: u64) -> Result<Option<WireField>, String> {
        if self.position >= end {
            return if self.position == end { Ok(None) } else { Err("a field is too long".into()) };
        }
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => {
                self.varint()?;
                Wire::Varint
            }
            1 => Wire::Bytes(8),
            2 => Wire::Bytes(self.varint()?),
            5 => Wire::Bytes(4),
            other => return Err(format!("it has a field of wire type {other}")),
        };
        Ok(Some(WireField { number: tag >> 3, wire }))
    }

    /// Skips a field's value.
    ///
    /// # Errors
    /// The file ends before.
    pub(super) fn skip(&mut self, wire: Wire) -> Result<(), String> {
        let Wire::Bytes(length) = wire else { return Ok(()) };
        let end = self.end_of(length)?;
        let offset = i64::try_from(length).map_err(|_| "a field is too long".to_owned())?;
        self.reader.seek_relative(offset).map_err(|error| error.to_string())?;
        self.position = end;
        Ok(())
    }

    /// Reads a field's value.
    ///
    /// # Errors
    /// The file ends before, or the value is larger than any that divvy wants.
    pub(super) fn read(&mut self, wire: Wire) -> Result<Vec<u8>, String> {
        let Wire::Bytes(length) = wire else { return Ok(Vec::new()) };
        let end = self.end_of(length)?;
        if length > LARGEST_FIELD {
            return Err("a field is too long".to_owned());
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        self.position = end;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0u8];
            self.reader.read_exact(&mut byte).map_err(|_| "it is cut short".to_owned())?;
            self.position += 1;
            let [byte] = byte;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("it has an impossible number".to_owned())
    }
}
