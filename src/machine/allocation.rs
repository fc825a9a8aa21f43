//! A counting global allocator: what the process holds on the Rust side, by account. A model's
//! threads work under the model's account, so that its heap is measured and not guessed.
//!
//! Each block of [`MIN_COUNTED_BYTES`] bytes or more carries a small header with the account that it was
//! charged to, and is taken off that account wherever it is freed: no drift, no table, no lock.
//! Smaller blocks pass through uncounted; weights, activations and requests are not made of them.
//! Memory that a C++ library takes by itself does not come through here.
#![allow(unsafe_code, clippy::cast_ptr_alignment)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Blocks from this size on are counted, in bytes.
pub const MIN_COUNTED_BYTES: usize = 1024;

/// Bytes before a counted block; more where its alignment asks for it.
const HEADER: usize = 16;

/// Accounts that can be open at once, the program's own included.
const ACCOUNTS: usize = 1024;

/// The global allocator of the `divvy` program. Without it every account says that nothing is
/// known.
pub struct CountingAllocator;

/// The figures of one account, on a cache line of their own.
#[repr(align(64))]
struct Counter {
    live: AtomicI64,
    peak: AtomicI64,
    open: AtomicBool,
}

/// Account 0 is the program's own.
static COUNTERS: [Counter; ACCOUNTS] = [const {
    Counter { live: AtomicI64::new(0), peak: AtomicI64::new(0), open: AtomicBool::new(false) }
}; ACCOUNTS];

thread_local! {
    /// The account that this thread's blocks are charged to.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
}

fn current() -> u32 {
    // A thread that is ending has none any more; its last blocks are the program's.
    CURRENT.try_with(Cell::get).unwrap_or(0)
}

fn charge(account: u32, bytes: i64) {
    if let Some(counter) = COUNTERS.get(account as usize) {
        let live = counter.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if bytes > 0 && live > counter.peak.load(Ordering::Relaxed) {
            counter.peak.fetch_max(live, Ordering::Relaxed);
        }
    }
}

/// The block with its header, and how far the block's own first byte is from the start.
fn with_header(layout: Layout) -> Option<(Layout, usize)> {
    let align = layout.align().max(HEADER);
    let size = layout.size().checked_add(align)?;
    Some((Layout::from_size_align(size, align).ok()?, align))
}

/// Writes the header of a fresh counted block, charges it, and gives the block's own first byte.
///
/// # Safety
/// `base` is null, or the start of a block that [`with_header`] described, with this offset.
unsafe fn open_block(base: *mut u8, offset: usize, size: usize) -> *mut u8 {
    if base.is_null() {
        return base;
    }
    let account = current();
    charge(account, size as i64);
    // SAFETY: the block is `offset` bytes longer than was asked for, and `offset` is at least
    // HEADER and a multiple of 16, so the header lies inside it.
    unsafe {
        let block = base.add(offset);
        block.sub(HEADER).cast::<[u8; 4]>().write(account.to_ne_bytes());
        block
    }
}

/// The account of a counted block.
///
/// # Safety
/// `block` came from [`open_block`] and has not been freed.
unsafe fn account_of(block: *mut u8) -> u32 {
    // SAFETY: the header was written there when the block was made.
    u32::from_ne_bytes(unsafe { block.sub(HEADER).cast::<[u8; 4]>().read() })
}

// SAFETY: every call goes on to the system's allocator. A block's size decides alone whether it has
// a header, and callers must give the same size when they free it, so a block is always freed the
// way it was made; with a header, the alignment is kept because the offset is a multiple of it.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: the caller's promises are the same.
            return unsafe { System.alloc(layout) };
        }
        let Some((whole, offset)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: the size is not zero, and the offset belongs to this layout.
        unsafe { open_block(System.alloc(whole), offset, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: the caller's promises are the same.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let Some((whole, offset)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: as in `alloc`; the header lies before the caller's part, which stays zero.
        unsafe { open_block(System.alloc_zeroed(whole), offset, layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: made by `System.alloc` with this layout, as its size says.
            return unsafe { System.dealloc(block, layout) };
        }
        if let Some((whole, offset)) = with_header(layout) {
            // SAFETY: made by `open_block` over a block of the layout `whole`.
            unsafe {
                charge(account_of(block), -(layout.size() as i64));
                System.dealloc(block.sub(offset), whole);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES && size < MIN_COUNTED_BYTES {
            // SAFETY: made by `System.alloc` with this layout, and stays without a header.
            return unsafe { System.realloc(block, layout, size) };
        }
        if layout.size() >= MIN_COUNTED_BYTES
            && size >= MIN_COUNTED_BYTES
            && let Some((whole, offset)) = with_header(layout)
            && let Some(longer) = size.checked_add(offset)
        {
            // SAFETY: `block` lies `offset` into a block of the layout `whole`. The system copies
            // the header along with the rest, and keeps the alignment.
            unsafe {
                let account = account_of(block);
                let base = System.realloc(block.sub(offset), whole, longer);
                if base.is_null() {
                    return base;
                }
                charge(account, size as i64 - layout.size() as i64);
                return base.add(offset);
            }
        }
        // SAFETY: across the limit the block is made anew; the sizes are the caller's, and the
        // alignment was valid for the old one.
        unsafe {
            let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
                return ptr::null_mut();
            };
            let fresh = self.alloc(wanted);
            if !fresh.is_null() {
                ptr::copy_nonoverlapping(block, fresh, layout.size().min(size));
                self.dealloc(block, layout);
            }
            fresh
        }
    }
}

/// Whether this process counts at all: its executable installed [`CountingAllocator`].
pub fn is_counting() -> bool {
    // No program gets as far as this without one block that counts.
    COUNTERS.iter().take(1).any(|own| own.peak.load(Ordering::Relaxed) > 0)
}

/// What the program holds under no model's account, in bytes; `None` where nothing is counted.
pub fn own_bytes() -> Option<u64> {
    is_counting().then(|| live(0))
}

/// What is held under all accounts together, the program's own among them, in bytes; 0 where nothing is
/// counted.
pub fn counted_bytes() -> u64 {
    let live = COUNTERS.iter().map(|counter| counter.live.load(Ordering::Relaxed));
    live.sum::<i64>().max(0).cast_unsigned()
}

fn live(account: u32) -> u64 {
    let live = COUNTERS.get(account as usize).map(|it| it.live.load(Ordering::Relaxed));
    live.map_or(0, |live| live.max(0) as u64)
}

/// The account of one model. Blocks that outlive it stay on its books until they are freed.
#[derive(Debug)]
pub struct Account {
    number: u32,
}

impl Account {
    /// Opens an account. Where nothing is counted, or all are taken, it is one without figures.
    pub fn open() -> Arc<Self> {
        let free = || {
            COUNTERS.iter().enumerate().skip(1).find(|(_, counter)| {
                counter.live.load(Ordering::Relaxed) == 0
                    && !counter.open.swap(true, Ordering::AcqRel)
            })
        };
        let Some((number, counter)) = is_counting().then(free).flatten() else {
            return Arc::new(Self { number: 0 });
        };
        counter.peak.store(0, Ordering::Relaxed);
        Arc::new(Self { number: number as u32 })
    }

    /// Charges what this thread takes to this account, until the returned value is dropped.
    pub fn enter(&self) -> AccountGuard {
        let before = CURRENT.try_with(|current| current.replace(self.number)).unwrap_or(0);
        AccountGuard { before }
    }

    /// Charges what this thread takes to this account for good.
    pub fn charge_current_thread(&self) {
        // A thread that is ending takes nothing more.
        let _ = CURRENT.try_with(|current| current.set(self.number));
    }

    /// What is held now, in bytes; `None` where it is not counted.
    pub fn held(&self) -> Option<u64> {
        (self.number > 0).then(|| live(self.number))
    }

    /// The most that was held at once since the last call, in bytes; `None` where it is not counted.
    pub fn take_peak(&self) -> Option<u64> {
        let counter = COUNTERS.get(self.number as usize).filter(|_| self.number > 0)?;
        let peak = counter.peak.swap(counter.live.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(peak.max(0) as u64)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(counter) = COUNTERS.get(self.number as usize).filter(|_| self.number > 0) {
            counter.open.store(false, Ordering::Release);
        }
    }
}

/// See [`Account::enter`]. Stays on the thread that made it.
#[must_use]
pub struct AccountGuard {
    before: u32,
}

impl Drop for AccountGuard {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

/// The C heap, Rust's part among it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// What the heap's own regions hold, blocks that are free among it.
    pub regions: u64,
    /// Blocks that are in use within the heap's own regions.
    pub in_regions: u64,
    /// Blocks in use that have a mapping of their own.
    pub mapped: u64,
}

impl Heap {
    /// All blocks in use.
    pub fn in_use(&self) -> u64 {
        self.in_regions + self.mapped
    }
}

/// The heap as the system's allocator counts it; `None` where it has no such statistics (only glibc
/// from 2.33 on does). Locks each of its arenas in turn, so it is not for every request.
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
        // SAFETY: the only function of this name is glibc's, looked up because older ones lack it.
        let ask = unsafe { program.get::<Ask>(b"mallinfo2\0") }.ok()?;
        // SAFETY: it may be called at any time from any thread, and gives plain numbers.
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

/// Gives the heap's free pages back to the system, so that what was freed leaves the resident set.
/// Takes up to some milliseconds; nothing where the system's allocator has no such call.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// The test program has another global allocator; this one is called by hand.
    fn account() -> Arc<Account> {
        let small = block(MIN_COUNTED_BYTES, 8);
        // SAFETY: freed with the layout that it was made with.
        unsafe { CountingAllocator.dealloc(CountingAllocator.alloc(small), small) };
        Account::open()
    }

    #[test]
    fn a_block_is_taken_off_the_account_that_it_was_charged_to_wherever_it_is_freed() {
        let account = account();
        let entered = account.enter();
        let layout = block(5000, 64);
        // SAFETY: freed below with the same layout.
        let address = unsafe { CountingAllocator.alloc(layout) } as usize;
        drop(entered);
        assert_eq!(address % 64, 0);
        assert_eq!(account.held(), Some(5000));
        // SAFETY: made above with this layout.
        let free = move || unsafe { CountingAllocator.dealloc(address as *mut u8, layout) };
        std::thread::spawn(free).join().unwrap();
        assert_eq!(account.held(), Some(0));
        assert_eq!(account.take_peak(), Some(5000));
        assert_eq!(account.take_peak(), Some(0));
    }

    #[test]
    fn growing_and_shrinking_keep_bytes_and_books() {
        let account = account();
        for align in [1, 16, 64, 4096] {
            let entered = account.enter();
            // SAFETY: each step gives the size of the one before; the writes stay inside.
            unsafe {
                let mut at = CountingAllocator.alloc_zeroed(block(100, align));
                let mut size = 100;
                at.write(42);
                for next in [800, 3000, 9000, 1024, 1023, 2000, 10] {
                    at = CountingAllocator.realloc(at, block(size, align), next);
                    size = next;
                    assert_eq!((at as usize % align, at.read()), (0, 42), "{align} {next}");
                    let counted = if size < MIN_COUNTED_BYTES { 0 } else { size as u64 };
                    assert_eq!(account.held(), Some(counted), "{align} {next}");
                }
                CountingAllocator.dealloc(at, block(size, align));
            }
            drop(entered);
            assert_eq!(account.held(), Some(0));
        }
    }

    #[test]
    fn an_account_with_blocks_is_not_given_to_another_model() {
        let first = account();
        let entered = first.enter();
        // SAFETY: freed below.
        let left = unsafe { CountingAllocator.alloc(block(4096, 8)) };
        drop(entered);
        let number = first.number;
        drop(first);
        let others: Vec<_> = (0..20).map(|_| Account::open()).collect();
        assert!(others.iter().all(|other| other.number != number));
        // SAFETY: made above.
        unsafe { CountingAllocator.dealloc(left, block(4096, 8)) };
    }

    #[test]
    fn an_absurd_size_is_refused() {
        // SAFETY: it fails, so there is nothing to free.
        unsafe {
            let layout = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
            assert!(CountingAllocator.alloc(layout).is_null());
        }
    }
}
