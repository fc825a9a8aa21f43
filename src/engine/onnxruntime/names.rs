//! Names of inputs or outputs in the form that the library takes.
#![allow(unsafe_code)]

use std::ffi::{CString, NulError, c_char};

/// Names with the array of pointers that each run passes.
pub(super) struct NameArray {
    /// The texts that `pointers` point to.
    _names: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers are to the texts of the same value, which never change or move.
unsafe impl Send for NameArray {}
// SAFETY: as above.
unsafe impl Sync for NameArray {}

impl NameArray {
    /// Copies names.
    ///
    /// # Errors
    /// If a name contains a zero byte.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, NulError> {
        let names = names.map(CString::new).collect::<Result<Vec<CString>, _>>()?;
        let pointers = names.iter().map(|name| name.as_ptr()).collect();
        Ok(Self { _names: names, pointers })
    }

    /// Returns the pointers, which are valid as long as this value.
    pub(super) fn pointers(&self) -> &[*const c_char] {
        &self.pointers
    }
}
