//! Tensors to and from the library's own values: inputs are lent without a copy, outputs are
//! copied out once.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use half::{bf16, f16};
use ort::AsPointer;
use ort::sys::{
    ONNXTensorElementDataType as Code, OrtStatusPtr, OrtTensorTypeAndShapeInfo, OrtValue,
};

use super::library::Library;
use crate::engine::onnx::types;
use crate::engine::{ElementType, Tensor, TensorData};

/// Converts the library's status to its message, and frees it.
pub(super) fn check(status: OrtStatusPtr) -> Result<(), String> {
    check_with_code(status).map_err(|error| error.message().to_owned())
}

/// Converts the library's status to its code and message, and frees it.
pub(super) fn check_with_code(status: OrtStatusPtr) -> Result<(), ort::Error> {
    // SAFETY: every status that a call gave is passed here exactly once; null means no error.
    unsafe { ort::Error::result_from_status(status) }
}

/// An owned value of the library that may point into memory of lifetime `'a`.
pub(super) struct Value<'a> {
    pointer: NonNull<OrtValue>,
    _lent: PhantomData<&'a Tensor>,
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the library, is owned by this value alone, and is released
        // once.
        unsafe { (ort::api().ReleaseValue)(self.pointer.as_ptr()) }
    }
}

impl<'a> Value<'a> {
    /// Takes ownership of a value that the library made; `None` for null.
    ///
    /// # Safety
    /// The pointer is null, or a value that nobody else will release.
    pub(super) unsafe fn from_raw(pointer: *mut OrtValue) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self { pointer, _lent: PhantomData })
    }

    /// Gives up the ownership of the value.
    pub(super) fn into_raw(self) -> *mut OrtValue {
        let pointer = self.pointer.as_ptr();
        std::mem::forget(self);
        pointer
    }

    /// Lends a tensor to the library. `shape` is a buffer.
    pub(super) fn lend(
        library: &Library,
        tensor: &'a Tensor,
        shape: &mut Vec<i64>,
    ) -> Result<Self, String> {
        shape.clear();
        for size in tensor.shape() {
            shape.push(i64::try_from(*size).map_err(|_| "its shape is impossible".to_owned())?);
        }
        let shape = shape.as_slice();
        match tensor.data() {
            TensorData::Bool(values) => lend(library, values, shape, code(ElementType::Bool)),
            TensorData::I8(values) => lend(library, values, shape, code(ElementType::I8)),
            TensorData::I16(values) => lend(library, values, shape, code(ElementType::I16)),
            TensorData::I32(values) => lend(library, values, shape, code(ElementType::I32)),
            TensorData::I64(values) => lend(library, values, shape, code(ElementType::I64)),
            TensorData::U8(values) => lend(library, values, shape, code(ElementType::U8)),
            TensorData::U16(values) => lend(library, values, shape, code(ElementType::U16)),
            TensorData::U32(values) => lend(library, values, shape, code(ElementType::U32)),
            TensorData::U64(values) => lend(library, values, shape, code(ElementType::U64)),
            TensorData::F16(values) => lend(library, values, shape, code(ElementType::F16)),
            TensorData::BF16(values) => lend(library, values, shape, code(ElementType::BF16)),
            TensorData::F32(values) => lend(library, values, shape, code(ElementType::F32)),
            TensorData::F64(values) => lend(library, values, shape, code(ElementType::F64)),
            TensorData::String(values) => texts(values, shape),
        }
    }
}

/// A value of the library that something else owns.
pub(super) struct ValueRef<'a> {
    pointer: NonNull<OrtValue>,
    _owner: PhantomData<&'a OrtValue>,
}

impl ValueRef<'_> {
    /// Refers to a value.
    ///
    /// # Safety
    /// The value is not released during the lifetime.
    pub(super) unsafe fn new(pointer: NonNull<OrtValue>) -> Self {
        Self { pointer, _owner: PhantomData }
    }

    fn pointer(&self) -> *const OrtValue {
        self.pointer.as_ptr()
    }

    /// Copies the value out.
    pub(super) fn tensor(&self) -> Result<Tensor, String> {
        let (element, shape) = self.type_and_shape()?;
        let count: usize = shape.iter().product();
        let data = match element {
            // SAFETY (each arm): the library says that the value holds elements of this type.
            ElementType::I8 => TensorData::I8(unsafe { self.copy(count) }?),
            ElementType::I16 => TensorData::I16(unsafe { self.copy(count) }?),
            ElementType::I32 => TensorData::I32(unsafe { self.copy(count) }?),
            ElementType::I64 => TensorData::I64(unsafe { self.copy(count) }?),
            ElementType::U8 => TensorData::U8(unsafe { self.copy(count) }?),
            ElementType::U16 => TensorData::U16(unsafe { self.copy(count) }?),
            ElementType::U32 => TensorData::U32(unsafe { self.copy(count) }?),
            ElementType::U64 => TensorData::U64(unsafe { self.copy(count) }?),
            ElementType::F16 => TensorData::F16(unsafe { self.copy::<f16>(count) }?),
            ElementType::BF16 => TensorData::BF16(unsafe { self.copy::<bf16>(count) }?),
            ElementType::F32 => TensorData::F32(unsafe { self.copy(count) }?),
            ElementType::F64 => TensorData::F64(unsafe { self.copy(count) }?),
            ElementType::Bool => {
                // read as bytes: a byte other than 0 and 1 would be no valid `bool`
                let bytes: Vec<u8> = unsafe { self.copy(count) }?;
                TensorData::Bool(bytes.into_iter().map(|byte| byte != 0).collect())
            }
            ElementType::String => TensorData::String(self.copy_texts(count)?),
        };
        Tensor::new(shape, data).ok_or_else(|| "an output does not fill its shape".to_owned())
    }

    fn type_and_shape(&self) -> Result<(ElementType, Vec<usize>), String> {
        let api = ort::api();
        let mut info: *mut OrtTensorTypeAndShapeInfo = ptr::null_mut();
        // SAFETY: the value lives; the call writes a new description or gives an error.
        check(unsafe { (api.GetTensorTypeAndShape)(self.pointer(), &raw mut info) })?;
        let read = || {
            let mut code = Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
            let mut rank = 0usize;
            // SAFETY: the description lives until it is released below; both calls only read it.
            unsafe {
                check((api.GetTensorElementType)(info, &raw mut code))?;
                check((api.GetDimensionsCount)(info, &raw mut rank))?;
            }
            let mut dims = vec![0i64; rank];
            // SAFETY: `dims` has room for the `rank` numbers that the call writes.
            check(unsafe { (api.GetDimensions)(info, dims.as_mut_ptr(), rank) })?;
            let shape = dims
                .into_iter()
                .map(usize::try_from)
                .collect::<Result<Vec<usize>, _>>()
                .map_err(|_| "an output has a negative size".to_owned())?;
            Ok((types::element(code as i32)?, shape))
        };
        let result = read();
        // SAFETY: the description was made above and is released once.
        unsafe { (api.ReleaseTensorTypeAndShapeInfo)(info) };
        result
    }

    /// Copies `count` elements.
    ///
    /// # Safety
    /// The value is a dense tensor in main memory of `count` elements of type `T`, for which every
    /// bit pattern is valid.
    unsafe fn copy<T: Copy>(&self, count: usize) -> Result<Vec<T>, String> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut data = ptr::null_mut();
        // SAFETY: the value lives; the call gives the address of its elements.
        check(unsafe { (ort::api().GetTensorMutableData)(self.pointer.as_ptr(), &raw mut data) })?;
        if data.is_null() {
            return Err("an output has no memory".to_owned());
        }
        // SAFETY: guaranteed by the caller; the library aligns tensors to 64 bytes or more.
        Ok(unsafe { std::slice::from_raw_parts(data.cast::<T>().cast_const(), count) }.to_vec())
    }

    fn copy_texts(&self, count: usize) -> Result<Vec<String>, String> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let api = ort::api();
        let mut length = 0usize;
        // SAFETY: the value is a tensor of texts; the call gives the length of all together.
        check(unsafe { (api.GetStringTensorDataLength)(self.pointer(), &raw mut length) })?;
        let mut bytes = vec![0u8; length];
        let mut starts = vec![0usize; count];
        // SAFETY: both buffers have exactly the sizes that are passed with them.
        check(unsafe {
            (api.GetStringTensorContent)(
                self.pointer(),
                bytes.as_mut_ptr().cast(),
                length,
                starts.as_mut_ptr(),
                count,
            )
        })?;
        let ends = starts.iter().skip(1).copied().chain([length]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                bytes
                    .get(*start..end)
                    .map(|text| String::from_utf8_lossy(text).into_owned())
                    .ok_or_else(|| "an output's texts overlap".to_owned())
            })
            .collect()
    }
}

fn lend<'a, T>(
    library: &Library,
    values: &'a [T],
    shape: &[i64],
    code: Code,
) -> Result<Value<'a>, String> {
    let mut pointer = ptr::null_mut();
    // SAFETY: the elements outlive the value (lifetime `'a`), and the library never writes to what
    // it was given as an input, although the call's type says so. Sizes are those of the slice.
    check(unsafe {
        (ort::api().CreateTensorWithDataAsOrtValue)(
            library.memory.ptr(),
            values.as_ptr().cast_mut().cast(),
            size_of_val(values),
            shape.as_ptr(),
            shape.len(),
            code,
            &raw mut pointer,
        )
    })?;
    // SAFETY: the call made the value for us.
    unsafe { Value::from_raw(pointer) }.ok_or_else(|| "the library made no tensor".to_owned())
}

fn texts<'a>(values: &[String], shape: &[i64]) -> Result<Value<'a>, String> {
    let api = ort::api();
    let copies = values
        .iter()
        .map(|text| CString::new(text.as_str()))
        .collect::<Result<Vec<CString>, _>>()
        .map_err(|_| "a text holds a zero byte, which the library cannot take".to_owned())?;
    let pointers: Vec<_> = copies.iter().map(|text| text.as_ptr()).collect();
    let mut allocator = ptr::null_mut();
    let mut pointer = ptr::null_mut();
    // SAFETY: the default allocator is static in the library; the shape's length is its own.
    unsafe {
        check((api.GetAllocatorWithDefaultOptions)(&raw mut allocator))?;
        check((api.CreateTensorAsOrtValue)(
            allocator,
            shape.as_ptr(),
            shape.len(),
            code(ElementType::String),
            &raw mut pointer,
        ))?;
    }
    // SAFETY: the call made the value for us.
    let value = unsafe { Value::from_raw(pointer) }
        .ok_or_else(|| "the library made no tensor".to_owned())?;
    // SAFETY: there are as many pointers as the tensor has elements, each to a text that ends in a
    // zero byte; the library copies them.
    check(unsafe {
        (api.FillStringTensor)(value.pointer.as_ptr(), pointers.as_ptr(), pointers.len())
    })?;
    Ok(value)
}

fn code(element: ElementType) -> Code {
    match element {
        ElementType::Bool => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        ElementType::I8 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        ElementType::I16 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        ElementType::I32 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        ElementType::I64 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        ElementType::U8 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        ElementType::U16 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        ElementType::U32 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        ElementType::U64 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        ElementType::F16 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        ElementType::BF16 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        ElementType::F32 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        ElementType::F64 => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        ElementType::String => Code::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}
