//! The lists of values of an instance's runs. Their memory is kept from run to run, so that a run
//! allocates nothing for them.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use ort::sys::OrtValue;

use super::library::Library;
use super::value::{Value, ValueRef};
use crate::engine::Tensor;

/// Buffers of one instance. Empty between runs.
#[derive(Default)]
pub(super) struct RunBuffers {
    /// Inputs, lent to the library.
    pub(super) lent: Vec<*mut OrtValue>,
    /// Outputs, made by the library.
    pub(super) results: Vec<*mut OrtValue>,
    /// The shape of one input.
    pub(super) shape: Vec<i64>,
}

// SAFETY: the pointers are those of the current run only: each `ValueList` empties its buffer.
unsafe impl Send for RunBuffers {}

/// Values of the library in a kept buffer; some may point into memory of lifetime `'a`. Dropping the
/// list releases them.
pub(super) struct ValueList<'b, 'a> {
    pointers: &'b mut Vec<*mut OrtValue>,
    _lent: PhantomData<&'a Tensor>,
}

impl<'b, 'a> ValueList<'b, 'a> {
    /// Returns an empty list.
    pub(super) fn new(pointers: &'b mut Vec<*mut OrtValue>) -> Self {
        pointers.clear();
        Self { pointers, _lent: PhantomData }
    }

    /// Returns a list of nulls, in whose place a run puts values.
    pub(super) fn nulls(pointers: &'b mut Vec<*mut OrtValue>, count: usize) -> Self {
        let list = Self::new(pointers);
        list.pointers.resize(count, ptr::null_mut());
        list
    }

    /// Adds a tensor, lent to the library.
    pub(super) fn lend(
        &mut self,
        library: &Library,
        tensor: &'a Tensor,
        shape: &mut Vec<i64>,
    ) -> Result<(), String> {
        let value = Value::lend(library, tensor, shape)?;
        self.pointers.push(value.into_raw());
        Ok(())
    }

    /// Returns the pointers.
    pub(super) fn pointers(&self) -> &[*mut OrtValue] {
        self.pointers
    }

    /// Returns the pointers, for a call that replaces nulls by values that belong to the caller.
    pub(super) fn pointers_mut(&mut self) -> &mut [*mut OrtValue] {
        self.pointers
    }

    /// Returns the values; `None` for a null.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<ValueRef<'_>>> {
        // SAFETY: each pointer is null or a value that this list owns, and so lives as long as it.
        self.pointers
            .iter()
            .map(|pointer| NonNull::new(*pointer).map(|value| unsafe { ValueRef::new(value) }))
    }
}

impl Drop for ValueList<'_, '_> {
    fn drop(&mut self) {
        for pointer in self.pointers.drain(..) {
            // SAFETY: each pointer is null or a value that only this list owns.
            drop(unsafe { Value::from_raw(pointer) });
        }
    }
}
