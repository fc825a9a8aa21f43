//! A counting global allocator: bytes allocated by Rust code, per account.
//!
//! A model's threads allocate under the model's account, so that its heap is measured, not guessed.
//!
//! Each block of [`MIN_COUNTED_BYTES`] or more carries a small header with its account, which is
//! credited when any thread frees the block: no drift, no table, no lock. Smaller blocks are not
//! counted; weights, activations and requests do not consist of them. Memory that a C++ library
//! allocates itself is not counted here.
#![allow(unsafe_code, clippy::cast_ptr_alignment)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

/// Size from which blocks are counted, in bytes.
pub const MIN_COUNTED_BYTES: usize = 1024;

/// Bytes before a counted block; more if its alignment requires it.
const HEADER: usize = 16;

/// Maximum number of open accounts, including the program's own and [`PROBE`].
const ACCOUNTS: usize = 2048;

/// The account by which [`is_installed`] finds out if allocations are counted.
const PROBE: u32 = ACCOUNTS as u32 - 1;

/// The global allocator of the `divvy` program. Without it, no account has a count.
pub struct CountingAllocator;

/// The counts of one account, padded to a cache line.
#[repr(align(64))]
struct Counter {
    live: AtomicI64,
    peak: AtomicI64,
    open: AtomicBool,
    /// True if it is, or was last, an account of outputs.
    outputs: AtomicBool,
}

/// Account 0 is the program's own.
static COUNTERS: [Counter; ACCOUNTS] = [const {
    Counter {
        live: AtomicI64::new(0),
        peak: AtomicI64::new(0),
        open: AtomicBool::new(false),
        outputs: AtomicBool::new(false),
    }
}; ACCOUNTS];

thread_local! {
    /// The account to which this thread's blocks are charged.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
}

fn current() -> u32 {
    // The thread-local of an ending thread is gone: its last blocks count as the program's.
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

/// Returns the layout of a block with its header, and the offset of the block within it.
fn with_header(layout: Layout) -> Option<(Layout, usize)> {
    let align = layout.align().max(HEADER);
    let size = layout.size().checked_add(align)?;
    Some((Layout::from_size_align(size, align).ok()?, align))
}

/// Writes the header of a new counted block, charges its account, and returns the block.
///
/// # Safety
/// `base` is null, or the start of a block with the layout and offset of [`with_header`].
unsafe fn open_block(base: *mut u8, offset: usize, size: usize) -> *mut u8 {
    if base.is_null() {
        return base;
    }
    let account = current();
    charge(account, size as i64);
    // SAFETY: the allocation is `offset` bytes longer than `size`, and `offset` is at least HEADER
    // and a multiple of 16, so the header lies inside it.
    unsafe {
        let block = base.add(offset);
        block.sub(HEADER).cast::<[u8; 4]>().write(account.to_ne_bytes());
        block
    }
}

/// Returns the account of a counted block.
///
/// # Safety
/// `block` came from [`open_block`] and has not been freed.
unsafe fn account_of(block: *mut u8) -> u32 {
    // SAFETY: `open_block` wrote the header there.
    u32::from_ne_bytes(unsafe { block.sub(HEADER).cast::<[u8; 4]>().read() })
}

/// Charges a counted block to another account.
///
/// # Safety
/// `block` came from [`open_block`] with this size, and no other thread frees or resizes it during the
/// call.
unsafe fn charge_block(block: *mut u8, size: usize, account: u32) {
    // SAFETY: `open_block` wrote the header there, and the caller excludes other accesses to it.
    unsafe {
        charge(account_of(block), -(size as i64));
        block.sub(HEADER).cast::<[u8; 4]>().write(account.to_ne_bytes());
    }
    charge(account, size as i64);
}

// SAFETY: every call is forwarded to the system allocator. Only the size decides if a block has a
// header, and callers must pass the same size when they free it, so each block is freed the way it
// was allocated. The alignment holds because the offset is a multiple of it.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: the caller has the same obligations.
            return unsafe { System.alloc(layout) };
        }
        let Some((whole, offset)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: the size is not zero, and the offset belongs to the layout `whole`.
        unsafe { open_block(System.alloc(whole), offset, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: the caller has the same obligations.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let Some((whole, offset)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: as in `alloc`; the header lies before the caller's bytes, which stay zero.
        unsafe { open_block(System.alloc_zeroed(whole), offset, layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() < MIN_COUNTED_BYTES {
            // SAFETY: a block of this size was allocated by `System.alloc` with this layout.
            return unsafe { System.dealloc(block, layout) };
        }
        if let Some((whole, offset)) = with_header(layout) {
            // SAFETY: a block of this size came from `open_block`, with the layout `whole`.
            unsafe {
                charge(account_of(block), -(layout.size() as i64));
                System.dealloc(block.sub(offset), whole);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < MIN_COUNTED_BYTES && size < MIN_COUNTED_BYTES {
            // SAFETY: allocated by `System.alloc` with this layout; it still needs no header.
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
        // SAFETY: a block that crosses the limit is copied into a new one. The sizes are the
        // caller's, and the alignment was valid for the old block.
        unsafe {
            let Ok(new_layout) = Layout::from_size_align(size, layout.align()) else {
                return ptr::null_mut();
            };
            let fresh = self.alloc(new_layout);
            if !fresh.is_null() {
                ptr::copy_nonoverlapping(block, fresh, layout.size().min(size));
                self.dealloc(block, layout);
            }
            fresh
        }
    }
}

/// Returns true if this executable installed [`CountingAllocator`].
pub fn is_counting() -> bool {
    // Every program has allocated at least one counted block before it calls this.
    COUNTERS.iter().take(1).any(|own| own.peak.load(Ordering::Relaxed) > 0)
}

/// Returns true if [`CountingAllocator`] is the global allocator, so that each block of
/// [`MIN_COUNTED_BYTES`] or more has a header. [`is_counting`] is also true if somebody only called it.
fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let entered = enter(PROBE);
        let block = black_box(Vec::<u8>::with_capacity(MIN_COUNTED_BYTES));
        drop(entered);
        let is_charged = live(PROBE) > 0;
        drop(block);
        is_charged
    })
}

/// Charges this thread's allocations to the program itself until the returned guard is dropped.
pub fn enter_program() -> AccountGuard {
    enter(0)
}

fn enter(account: u32) -> AccountGuard {
    let before = CURRENT.try_with(|current| current.replace(account)).unwrap_or(0);
    AccountGuard { before }
}

/// Returns the bytes allocated outside of all models' accounts; `None` if nothing is counted.
pub fn own_bytes() -> Option<u64> {
    is_counting().then(|| live(0))
}

/// Returns the bytes allocated under all accounts, including the program's own; 0 if nothing is
/// counted.
pub fn counted_bytes() -> u64 {
    let live = COUNTERS.iter().map(|counter| counter.live.load(Ordering::Relaxed));
    live.sum::<i64>().max(0).cast_unsigned()
}

/// Returns the bytes allocated under all accounts of outputs, also under those of removed models; 0 if
/// nothing is counted.
pub fn output_bytes() -> u64 {
    let outputs = COUNTERS.iter().filter(|counter| counter.outputs.load(Ordering::Relaxed));
    let live = outputs.map(|counter| counter.live.load(Ordering::Relaxed));
    live.sum::<i64>().max(0).cast_unsigned()
}

fn live(account: u32) -> u64 {
    let live = COUNTERS.get(account as usize).map(|it| it.live.load(Ordering::Relaxed));
    live.map_or(0, |live| live.max(0) as u64)
}

/// The account of one model. Blocks that outlive it stay charged to it until they are freed.
#[derive(Debug)]
pub struct Account {
    number: u32,
}

impl Account {
    /// Opens an account. If nothing is counted, or all accounts are in use, it has no counts.
    pub fn open() -> Arc<Self> {
        Self::open_as(|counter| counter.outputs.store(false, Ordering::Relaxed))
    }

    /// Opens an account for the outputs of requests; as [`Account::open`].
    pub fn open_for_outputs() -> Arc<Self> {
        Self::open_as(|counter| counter.outputs.store(true, Ordering::Relaxed))
    }

    fn open_as(set_kind: impl Fn(&Counter)) -> Arc<Self> {
        let free = || {
            COUNTERS.iter().enumerate().take(PROBE as usize).skip(1).find(|(_, counter)| {
                counter.live.load(Ordering::Relaxed) == 0
                    && !counter.open.swap(true, Ordering::AcqRel)
            })
        };
        let Some((number, counter)) = is_counting().then(free).flatten() else {
            return Arc::new(Self { number: 0 });
        };
        counter.peak.store(0, Ordering::Relaxed);
        set_kind(counter);
        Arc::new(Self { number: number as u32 })
    }

    /// Charges this thread's allocations to this account until the returned guard is dropped.
    pub fn enter(&self) -> AccountGuard {
        enter(self.number)
    }

    /// Charges the buffer of a vector to this account from now on. Does nothing if it is too small to be
    /// counted, or if nothing is counted.
    pub fn adopt<T>(&self, values: &mut Vec<T>) {
        let size = values.capacity().saturating_mul(size_of::<T>());
        if size >= MIN_COUNTED_BYTES && is_installed() {
            // The compiler must not know that the header is outside of the vector's buffer.
            let block = black_box(values.as_mut_ptr().cast::<u8>());
            // SAFETY: the buffer came from the global allocator with this size, which is the counting
            // one, and the vector is borrowed exclusively.
            unsafe { charge_block(block, size, self.number) }
        }
    }

    /// Charges all further allocations of this thread to this account.
    pub fn charge_current_thread(&self) {
        // An ending thread allocates nothing more.
        let _ = CURRENT.try_with(|current| current.set(self.number));
    }

    /// Returns the bytes allocated now; `None` if they are not counted.
    pub fn held(&self) -> Option<u64> {
        (self.number > 0).then(|| live(self.number))
    }

    /// Returns the maximum of allocated bytes since the last call; `None` if they are not counted.
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

/// Guard of [`Account::enter`] and [`enter_program`]; restores the thread's previous account on drop.
#[must_use]
pub struct AccountGuard {
    before: u32,
}

impl Drop for AccountGuard {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Opens an account. The test program has another global allocator; tests call this one directly.
    fn account() -> Arc<Account> {
        let small = block(MIN_COUNTED_BYTES, 8);
        // SAFETY: freed with the layout of its allocation.
        unsafe { CountingAllocator.dealloc(CountingAllocator.alloc(small), small) };
        Account::open()
    }

    #[test]
    fn other_thread_frees_from_the_same_account() {
        let account = account();
        let entered = account.enter();
        let layout = block(5000, 64);
        // SAFETY: freed below with the same layout.
        let address = unsafe { CountingAllocator.alloc(layout) } as usize;
        drop(entered);
        assert_eq!(address % 64, 0);
        assert_eq!(account.held(), Some(5000));
        // SAFETY: allocated above with this layout.
        let free = move || unsafe { CountingAllocator.dealloc(address as *mut u8, layout) };
        std::thread::spawn(free).join().unwrap();
        assert_eq!(account.held(), Some(0));
        assert_eq!(account.take_peak(), Some(5000));
        assert_eq!(account.take_peak(), Some(0));
    }

    #[test]
    fn realloc_keeps_block_contents() {
        let account = account();
        for align in [1, 16, 64, 4096] {
            let entered = account.enter();
            // SAFETY: each step passes the previous size; the writes stay inside the block.
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
    fn accounts_with_live_blocks_are_not_reused() {
        let first = account();
        let entered = first.enter();
        // SAFETY: freed below.
        let left = unsafe { CountingAllocator.alloc(block(4096, 8)) };
        drop(entered);
        let number = first.number;
        drop(first);
        let others: Vec<_> = (0..20).map(|_| Account::open()).collect();
        assert!(others.iter().all(|other| other.number != number));
        // SAFETY: allocated above.
        unsafe { CountingAllocator.dealloc(left, block(4096, 8)) };
    }

    #[test]
    fn charging_a_block_moves_its_bytes() {
        let (first, second) = (account(), Account::open());
        let layout = block(5000, 64);
        let entered = first.enter();
        // SAFETY: the block is alive until it is freed with its layout.
        unsafe {
            let block = CountingAllocator.alloc(layout);
            charge_block(block, 5000, second.number);
            assert_eq!((first.held(), second.held()), (Some(0), Some(5000)));
            CountingAllocator.dealloc(block, layout);
        }
        drop(entered);
        assert_eq!((first.held(), second.held()), (Some(0), Some(0)));
    }

    #[test]
    fn blocks_of_another_allocator_are_not_adopted() {
        let account = account();
        let mut values = vec![7_u64; 1000];
        account.adopt(&mut values);
        assert_eq!((account.held(), values[999]), (Some(0), 7));
    }

    #[test]
    fn rejects_overflowing_sizes() {
        // SAFETY: the call fails, so there is nothing to free.
        unsafe {
            let layout = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
            assert!(CountingAllocator.alloc(layout).is_null());
        }
    }
}
