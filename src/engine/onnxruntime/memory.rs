//! What a session's arena holds, by the library's own account.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::sys::{OrtAllocator, OrtKeyValuePairs};

use super::session::OrtSession;
use super::value::check;
use crate::engine::Device;

/// What the library's own account of an arena says, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arena {
    /// Taken from the system.
    pub(super) taken: u64,
    /// The most of it that was in use at once: the rest was never written to.
    pub(super) most_used: u64,
}

/// The state of the session's arena; `None` where the library cannot tell.
pub(super) fn arena(session: &OrtSession) -> Option<Arena> {
    let place = AllocationDevice::CPU;
    let info = MemoryInfo::new(place, 0, AllocatorType::Arena, MemoryType::Default);
    asked(session, &info.ok()?)
}

/// The state of the session's arena on its GPU.
pub(super) fn gpu_arena(session: &OrtSession, device: Device) -> Option<Arena> {
    let ordinal = i32::try_from(device.ordinal).ok()?;
    let place = AllocationDevice::CUDA;
    let info = MemoryInfo::new(place, ordinal, AllocatorType::Arena, MemoryType::Default);
    asked(session, &info.ok()?)
}

fn asked(session: &OrtSession, info: &MemoryInfo) -> Option<Arena> {
    let api = ort::api();
    let mut allocator: *mut OrtAllocator = ptr::null_mut();
    // SAFETY: session and description live during the call, which makes a handle for us.
    check(unsafe { (api.CreateAllocator)(session.pointer(), info.ptr(), &raw mut allocator) })
        .ok()?;
    let mut stats: *mut OrtKeyValuePairs = ptr::null_mut();
    // SAFETY: the handle lives; the call makes a list for us, or gives an error.
    let asked = check(unsafe { (api.AllocatorGetStats)(allocator, &raw mut stats) });
    let number = |key: &CStr| -> Option<u64> {
        // SAFETY: the list lives until it is released below; the text belongs to it.
        let text = unsafe {
            let text = (api.GetKeyValue)(stats, key.as_ptr());
            if text.is_null() { None } else { CStr::from_ptr(text).to_str().ok() }
        };
        text.and_then(|text| text.parse().ok())
    };
    let arena = asked.ok().and_then(|()| {
        Some(Arena { taken: number(c"TotalAllocated")?, most_used: number(c"MaxInUse")? })
    });
    // SAFETY: both were made above (null is allowed) and are released once.
    unsafe {
        (api.ReleaseKeyValuePairs)(stats);
        (api.ReleaseAllocator)(allocator);
    }
    arena
}
