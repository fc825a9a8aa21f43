//! Statistics of the C heap, and the return of its free pages.
#![allow(unsafe_code)]

/// Sizes of the C heap, in bytes. Rust's allocations are part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Total size of the heap's own regions, including free blocks.
    pub regions: u64,
    /// Blocks in use within the heap's own regions.
    pub in_regions: u64,
    /// Blocks in use that have their own mapping.
    pub mapped: u64,
}

impl Heap {
    /// Returns the size of all blocks in use.
    pub fn in_use(&self) -> u64 {
        self.in_regions + self.mapped
    }
}

/// Returns the statistics of the system allocator; `None` if it has none (only glibc 2.33 and later
/// does). Locks each of its arenas in turn, so do not call it per request.
pub fn heap() -> Option<Heap> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// glibc's `struct mallinfo2`.
        #[repr(C)]
        struct Statistics {
            arena: usize,
            free_chunks: [usize; 2],
            mapped_regions: usize,
            mapped: usize,
            fast: [usize; 2],
            in_use: usize,
            free: usize,
            top: usize,
        }
        type Ask = unsafe extern "C" fn() -> Statistics;
        let program = libloading::os::unix::Library::this();
        // SAFETY: the only function with this name is glibc's. It is looked up by name because older
        // versions lack it.
        let ask = unsafe { program.get::<Ask>(b"mallinfo2\0") }.ok()?;
        // SAFETY: it may be called at any time from any thread, and returns plain numbers.
        let found = unsafe { ask() };
        Some(Heap {
            regions: found.arena as u64,
            in_regions: found.in_use as u64,
            mapped: found.mapped as u64,
        })
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        None
    }
}

/// Returns the heap's free pages to the system, so that freed memory leaves the resident set. Takes up
/// to some milliseconds. Does nothing if the system allocator has no such call.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: a function of glibc that may be called at any time from any thread.
        let _ = unsafe { malloc_trim(0) };
    }
}
