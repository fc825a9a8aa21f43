//! A session of the library with its memory, by the library's own count.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::SharedSessionInner;
use ort::sys::{OrtAllocator, OrtKeyValuePairs};

use super::value::check;
use crate::engine::Device;

/// The library's count of an arena, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ArenaStatistics {
    /// Allocated from the system.
    pub(super) allocated: u64,
    /// The maximum in use at one time. The rest was never written to.
    pub(super) most_used: u64,
}

/// The memory that requests have made a session's arena allocate, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ArenaGrowth {
    /// Allocated since the session was built.
    pub(super) allocated: u64,
    /// The part of it that was never written to.
    pub(super) untouched: u64,
}

/// A session of the library with its memory counters.
pub(super) struct RawSession {
    inner: Arc<SharedSessionInner>,
    /// The GPU that it runs on.
    device: Option<Device>,
    /// The arena before the first request, which holds weights only.
    at_start: Option<ArenaStatistics>,
    /// Heap that the graph and the kernels take, in bytes.
    graph: AtomicU64,
}

impl RawSession {
    /// Wraps a session that has run no request yet.
    pub(super) fn new(inner: Arc<SharedSessionInner>, device: Option<Device>) -> Self {
        let mut session = Self { inner, device, at_start: None, graph: AtomicU64::new(0) };
        session.at_start = session.cpu_arena();
        session
    }

    /// Returns the session's pointer. It is valid as long as this value.
    pub(super) fn pointer(&self) -> *const ort::sys::OrtSession {
        self.inner.ptr()
    }

    /// Returns the GPU that the session runs on.
    pub(super) fn device(&self) -> Option<Device> {
        self.device
    }

    /// Returns the bytes of the weights in the arena; `None` if the library does not report them.
    /// Weights that no kernel rearranges may be elsewhere.
    pub(super) fn weights(&self) -> Option<u64> {
        self.at_start.map(|arena| arena.allocated)
    }

    /// Returns an estimate of the heap that the graph and the kernels take, in bytes.
    pub(super) fn graph(&self) -> u64 {
        self.graph.load(Ordering::Relaxed)
    }

    /// Sets that estimate.
    pub(super) fn set_graph(&self, bytes: u64) {
        self.graph.store(bytes, Ordering::Relaxed);
    }

    /// Returns what requests have added to the arena; `None` if the library does not report it.
    pub(super) fn arena_growth(&self) -> Option<ArenaGrowth> {
        let (now, at_start) = (self.cpu_arena()?, self.at_start?);
        let allocated = now.allocated.saturating_sub(at_start.allocated);
        let unused = now.allocated.saturating_sub(now.most_used);
        Some(ArenaGrowth { allocated, untouched: unused.min(allocated) })
    }

    /// Returns the count of the arena in main memory.
    pub(super) fn cpu_arena(&self) -> Option<ArenaStatistics> {
        self.statistics(AllocationDevice::CPU, 0)
    }

    /// Returns the bytes of the arena on the session's GPU; `None` on the CPU, or if the library
    /// does not report them.
    pub(super) fn gpu_bytes(&self) -> Option<u64> {
        let ordinal = i32::try_from(self.device?.ordinal).ok()?;
        self.statistics(AllocationDevice::CUDA, ordinal).map(|arena| arena.allocated)
    }

    fn statistics(&self, place: AllocationDevice, ordinal: i32) -> Option<ArenaStatistics> {
        let info =
            MemoryInfo::new(place, ordinal, AllocatorType::Arena, MemoryType::Default).ok()?;
        let api = ort::api();
        let mut allocator: *mut OrtAllocator = ptr::null_mut();
        // SAFETY: session and description live during the call, which makes a handle for us.
        check(unsafe { (api.CreateAllocator)(self.pointer(), info.ptr(), &raw mut allocator) })
            .ok()?;
        let mut stats: *mut OrtKeyValuePairs = ptr::null_mut();
        // SAFETY: the handle lives; the call makes a list for us, or returns an error.
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
            let allocated = number(c"TotalAllocated")?;
            Some(ArenaStatistics { allocated, most_used: number(c"MaxInUse")? })
        });
        // SAFETY: both were made above (null is allowed) and are released once.
        unsafe {
            (api.ReleaseKeyValuePairs)(stats);
            (api.ReleaseAllocator)(allocator);
        }
        arena
    }
}
