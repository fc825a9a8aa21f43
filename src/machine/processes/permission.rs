//! The right to change another process: `sched_setaffinity(2)`, `setpriority(2)`.

/// The kernel's number of the capability `CAP_SYS_NICE` (include/uapi/linux/capability.h).
const SYS_NICE: u32 = 23;

/// The users of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsers {
    /// The real user.
    pub real: u32,
    /// The effective user.
    pub effective: u32,
}

/// The rights of divvy's own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerRights {
    /// The effective user; `None` if `/proc` is hidden.
    user: Option<u32>,
    /// True with the capability `CAP_SYS_NICE`.
    may_change_all: bool,
}

impl CallerRights {
    /// Parses the file `/proc/self/status`.
    pub(super) fn parse(status: &str) -> Self {
        let capabilities =
            line(status, "CapEff:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        Self {
            user: ProcessUsers::parse(status).map(|users| users.effective),
            may_change_all: capabilities.is_some_and(|all| all & (1 << SYS_NICE) != 0),
        }
    }

    /// Returns true if divvy may change a process of these users.
    pub fn may_change(&self, users: ProcessUsers) -> bool {
        let is_own = |user: u32| users.real == user || users.effective == user;
        self.may_change_all || self.user.is_some_and(is_own)
    }
}

impl ProcessUsers {
    /// Parses the file `/proc/PID/status`.
    pub(super) fn parse(status: &str) -> Option<Self> {
        let mut users = line(status, "Uid:")?.split_ascii_whitespace();
        let real = users.next()?.parse().ok()?;
        let effective = users.next()?.parse().ok()?;
        Some(Self { real, effective })
    }
}

/// Returns the value of a line of a `status` file.
pub(super) fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(user: u32) -> ProcessUsers {
        ProcessUsers { real: user, effective: user }
    }

    #[test]
    fn own_processes_may_be_changed() {
        let rights =
            CallerRights::parse("Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n");
        assert!(rights.may_change(users(1000)) && !rights.may_change(users(26)));
        assert!(rights.may_change(ProcessUsers { real: 1000, effective: 0 }));
    }

    #[test]
    fn capability_allows_all_processes() {
        let rights =
            CallerRights::parse("Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000800000\n");
        assert!(rights.may_change(users(26)));
    }
}
