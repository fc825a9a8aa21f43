//! How much memory the process really has, by the kernel's account, and how much it had before the
//! first model was loaded.

use std::sync::OnceLock;

use super::allocation::{self, Heap};

/// The resident set, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentSet {
    /// All of it.
    pub total: u64,
    /// The part that shows files: the executable, shared libraries, and what else is mapped.
    pub files: u64,
}

impl ResidentSet {
    /// What is no file: heap, stacks, relocated data.
    pub fn anonymous(&self) -> u64 {
        self.total.saturating_sub(self.files)
    }
}

/// The process before any model was loaded, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The resident set.
    pub resident: ResidentSet,
    /// What the counting allocator had given to the program itself.
    pub own: u64,
    /// What was in use on the C heap; `None` where the system does not tell.
    pub heap: Option<Heap>,
    /// ResidentSet bytes that the C heap kept though nobody used them; `None` likewise.
    pub kept: Option<u64>,
}

static BASELINE: OnceLock<Baseline> = OnceLock::new();

/// The resident set now; `None` where the system does not tell (only Linux does).
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

/// The process as it was when this was first called: whoever loads models calls it before the
/// first one.
pub fn baseline() -> Baseline {
    *BASELINE.get_or_init(|| {
        let heap = allocation::heap();
        Baseline {
            resident: resident().unwrap_or_default(),
            own: allocation::own_bytes().unwrap_or(0),
            heap,
            kept: heap.and_then(|heap| kept(&heap, 0)),
        }
    })
}

/// ResidentSet bytes that the C heap keeps for reuse though nobody uses them: the heap's resident part,
/// by the kernel, without what is in use; of that, `untouched` bytes were taken but never written to,
/// and so are not resident. `None` where the system does not tell. Reads a file with an entry a
/// mapping, some milliseconds in a process of many: not for every frame.
pub fn kept(heap: &Heap, untouched: u64) -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    {
        let anonymous = Anonymous::read(&std::fs::read_to_string("/proc/self/smaps").ok()?);
        // blocks with a mapping of their own lie elsewhere, beside what is not the heap's
        // and a block that begins where a region could is no region
        let resident = anonymous.regions.min(heap.regions) + anonymous.elsewhere.min(heap.mapped);
        Some(resident.saturating_sub(heap.in_use().saturating_sub(untouched)))
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
    {
        let _ = (heap, untouched);
        None
    }
}

/// ResidentSet bytes of mappings that show no file.
#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
#[derive(Debug, PartialEq, Eq)]
struct Anonymous {
    /// glibc's heap regions: the one that the kernel calls `[heap]`, and those of its further arenas,
    /// which begin at multiples of their largest size (`HEAP_MAX_SIZE` in malloc/arena.c, 64 MiB
    /// where pointers have 64 bits).
    regions: u64,
    /// The others: single large blocks, stacks of threads.
    elsewhere: u64,
}

#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
impl Anonymous {
    fn read(smaps: &str) -> Self {
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
    fn the_heaps_regions_are_told_from_other_mappings() {
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
        let found = Anonymous::read(smaps);
        assert_eq!(found, Anonymous { regions: 120 * 1024, elsewhere: 7 * 1024 });
    }

    #[cfg(target_os = "linux")]
    /// Runs the test of this name in a process of its own and answers whether this is that process:
    /// what is counted here is the whole process's, and other tests beside it take and free too.
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
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(" 1 passed"), "{output:?}");
        false
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_the_heap_keeps_after_blocks_were_freed_is_seen() {
        if !is_alone("what_the_heap_keeps_after_blocks_were_freed_is_seen") {
            return;
        }
        // small blocks lie in the heap's regions; the last one holds those before it back
        let blocks: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1_u8; 900]).collect();
        let Some(heap) = allocation::heap() else { return };
        let (before, mut blocks) = (kept(&heap, 0).unwrap(), blocks);
        let last = blocks.pop();
        drop(blocks);
        let after = kept(&allocation::heap().unwrap(), 0).unwrap();
        assert!(after >= before + (8 << 20), "{before} {after}");
        drop(last);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_is_touched_becomes_resident() {
        if !is_alone("memory_that_is_touched_becomes_resident") {
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
