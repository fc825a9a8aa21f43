//! How much memory the process really has, by the kernel's account, and how much it had before the
//! first model was loaded.

use std::sync::OnceLock;

use super::allocation;

/// The resident set, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it.
    pub total: u64,
    /// The part that shows files: the executable, shared libraries, and what else is mapped.
    pub files: u64,
}

impl Resident {
    /// What is no file: heap, stacks, relocated data.
    pub fn anonymous(&self) -> u64 {
        self.total.saturating_sub(self.files)
    }
}

/// The process before any model was loaded, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The resident set.
    pub resident: Resident,
    /// What the counting allocator had given to the program itself.
    pub own: u64,
    /// What was in use on the C heap; `None` where the system does not tell.
    pub heap: Option<u64>,
}

static BASELINE: OnceLock<Baseline> = OnceLock::new();

/// The resident set now; `None` where the system does not tell (only Linux does).
pub fn resident() -> Option<Resident> {
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        let mut pages =
            text.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u64>().ok());
        let page = rustix::param::page_size() as u64;
        let (total, files) = (pages.next()?, pages.next()?);
        Some(Resident { total: total * page, files: files * page })
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

/// The process as it was when this was first called: whoever loads models calls it before the
/// first one.
pub fn baseline() -> Baseline {
    *BASELINE.get_or_init(|| Baseline {
        resident: resident().unwrap_or_default(),
        own: allocation::own_bytes().unwrap_or(0),
        heap: allocation::heap_in_use(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_is_touched_becomes_resident() {
        let before = resident().unwrap();
        assert!(before.files > 0 && before.files < before.total);
        let pages = vec![1_u8; 64 << 20];
        let after = resident().unwrap();
        assert!(after.anonymous() >= before.anonymous() + (32 << 20), "{before:?} {after:?}");
        assert_eq!(pages.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 64 << 20);
    }
}
