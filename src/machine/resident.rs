//! The resident memory of the process as the kernel counts it, now and before the first model.

use std::sync::OnceLock;

use super::allocation;
use super::heap::{Heap, heap};

/// The resident set, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentSet {
    /// The whole resident set.
    pub total: u64,
    /// The file-backed part: the executable, shared libraries and other mapped files.
    pub files: u64,
}

impl ResidentSet {
    /// Returns the part without files: heap, stacks, relocated data.
    pub fn anonymous(&self) -> u64 {
        self.total.saturating_sub(self.files)
    }
}

/// The memory of the process before the first model was loaded, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The resident set.
    pub resident: ResidentSet,
    /// Bytes that the program itself had from the counting allocator.
    pub own: u64,
    /// Statistics of the C heap; `None` if the system has none.
    pub heap: Option<Heap>,
    /// Resident bytes of the C heap that were free; `None` if unknown.
    pub free_heap: Option<u64>,
}

static BASELINE: OnceLock<Baseline> = OnceLock::new();

/// Returns the current resident set; `None` if the system does not report it (only Linux does).
pub fn resident() -> Option<ResidentSet> {
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        let mut pages =
            text.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u64>().ok());
        let page = rustix::param::page_size() as u64;
        let (total, files) = (pages.next()?, pages.next()?);
        Some(ResidentSet { total: total * page, files: files * page })
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

/// Returns the state of the process at the first call. Must be called before the first model is
/// loaded.
pub fn baseline() -> Baseline {
    *BASELINE.get_or_init(|| {
        let heap = heap();
        Baseline {
            resident: resident().unwrap_or_default(),
            own: allocation::own_bytes().unwrap_or(0),
            heap,
            free_heap: heap.and_then(|heap| free_heap(&heap, 0)),
        }
    })
}

/// Returns the resident bytes of the C heap that are free: kept by the allocator for reuse. This is
/// the heap's resident part, as the kernel reports it, minus the bytes in use; `untouched` bytes of
/// these were never written and so are not resident. `None` if the system does not report it.
///
/// Reads a file with one entry per mapping, which can take milliseconds: do not call it per frame.
pub fn free_heap(heap: &Heap, untouched: u64) -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    {
        let anonymous = AnonymousMemory::parse(&std::fs::read_to_string("/proc/self/smaps").ok()?);
        // Blocks with their own mapping are in `elsewhere`, together with mappings that are not the
        // heap's; a block that starts at a region's alignment is not a region. Hence the limits.
        let resident = anonymous.regions.min(heap.regions) + anonymous.elsewhere.min(heap.mapped);
        Some(resident.saturating_sub(heap.in_use().saturating_sub(untouched)))
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
    {
        let _ = (heap, untouched);
        None
    }
}

/// Resident bytes of mappings without a file.
#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
#[derive(Debug, PartialEq, Eq)]
struct AnonymousMemory {
    /// glibc's heap regions: the one that the kernel names `[heap]`, and those of its other arenas,
    /// which start at multiples of their maximum size (`HEAP_MAX_SIZE` in malloc/arena.c, 64 MiB on
    /// 64-bit systems).
    regions: u64,
    /// All others: single large blocks, thread stacks.
    elsewhere: u64,
}

#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
impl AnonymousMemory {
    fn parse(smaps: &str) -> Self {
        const REGION: u64 = 64 << 20;
        let mut found = Self { regions: 0, elsewhere: 0 };
        let mut counted = None;
        for line in smaps.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(first) = words.next() else { continue };
            if let Some((from, _)) = first.split_once('-') {
                let from = u64::from_str_radix(from, 16).unwrap_or(1);
                let name = words.nth(4).unwrap_or_default();
                let is_anonymous = name.is_empty() || name.starts_with("[anon");
                counted = match name {
                    "[heap]" => Some(true),
                    _ if is_anonymous => Some(from.is_multiple_of(REGION)),
                    _ => None,
                };
            } else if first == "Rss:"
                && let Some(in_region) = counted
            {
                let kibibytes: u64 = words.next().and_then(|text| text.parse().ok()).unwrap_or(0);
                let place = if in_region { &mut found.regions } else { &mut found.elsewhere };
                *place += kibibytes * 1024;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_heap_regions_from_other_mappings() {
        let smaps = "\
55d9db514000-55d9db600000 rw-p 00000000 00:00 0                          [heap]
Rss:                 100 kB
7ff058000000-7ff058100000 rw-p 00000000 00:00 0 
Rss:                  20 kB
Private_Dirty:        20 kB
7ff058100000-7ff05c000000 ---p 00000000 00:00 0 
Rss:                   0 kB
7ff05d94e000-7ff05db4e000 rw-p 00000000 00:00 0 
Rss:                   7 kB
7ff060000000-7ff060100000 r--p 00000000 fe:00 1234                       /lib/x.so
Rss:                   9 kB
";
        let found = AnonymousMemory::parse(smaps);
        assert_eq!(found, AnonymousMemory { regions: 120 * 1024, elsewhere: 7 * 1024 });
    }

    /// Runs the named test in a separate process. Returns true in that process. Other tests of this
    /// process allocate too, which would disturb its measurements.
    #[cfg(target_os = "linux")]
    fn is_alone(name: &str) -> bool {
        const MARK: &str = "DIVVY_TEST_ALONE";
        if std::env::var_os(MARK).is_some() {
            return true;
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("machine::resident::tests::{name}"), "--nocapture"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains(" 1 passed"), "{output:?}");
        false
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn free_heap_grows_after_frees() {
        if !is_alone("free_heap_grows_after_frees") {
            return;
        }
        // Small blocks are in the heap's regions; the last one keeps the others from being
        // released.
        let blocks: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1_u8; 900]).collect();
        let Some(full) = heap() else { return };
        let (before, mut blocks) = (free_heap(&full, 0).unwrap(), blocks);
        let last = blocks.pop();
        drop(blocks);
        let after = free_heap(&heap().unwrap(), 0).unwrap();
        assert!(after >= before + (8 << 20), "{before} {after}");
        drop(last);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn touched_memory_becomes_resident() {
        if !is_alone("touched_memory_becomes_resident") {
            return;
        }
        let before = resident().unwrap();
        assert!(before.files > 0 && before.files < before.total);
        let pages = vec![1_u8; 64 << 20];
        let after = resident().unwrap();
        assert!(after.anonymous() >= before.anonymous() + (32 << 20), "{before:?} {after:?}");
        assert_eq!(pages.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 << 20);
    }
}
