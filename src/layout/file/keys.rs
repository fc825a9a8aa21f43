//! All keys of layout files. The parser accepts these and suggests the nearest one for an unknown
//! key; a test compares them with the JSON Schema.

/// Keys of the file itself.
pub(super) const ROOT: &[&str] = &["version", "description", "server", "model", "process"];

/// Keys of `server`.
pub(super) const SERVER: &[&str] = &[
    "max_body",
    "max_header",
    "max_connections",
    "max_in_flight",
    "receive_timeout",
    "send_timeout",
    "idle_timeout",
];

/// Options of the command line that `server` cannot have: a layout must neither open a port nor change who
/// may use it.
pub(super) const SERVER_OPTIONS: &[&str] =
    &["listen", "listen_grpc", "token_file", "insecure_listen", "drain", "server_threads"];

/// Keys of a `[[model]]`.
pub(super) const MODEL: &[&str] = &[
    "name",
    "path",
    "version",
    "engine",
    "cores",
    "reserve",
    "threads",
    "concurrency",
    "objective",
    "spinning",
    "weight",
    "memory",
    "gpu",
    "gpu_memory",
    "queue",
    "slo",
    "load",
    "dims",
    "inputs",
    "paused",
];

/// Keys of a `[[process]]`.
pub(super) const PROCESS: &[&str] = &[
    "name", "match", "pid", "cgroup", "command", "dir", "env", "restart", "where", "cores",
    "reserve", "weight", "memory", "slo", "metrics",
];

/// Keys of a `[[process]]` that divvy writes: a `match` replaces its short forms `pid` and `cgroup`.
pub(super) const WRITTEN_PROCESS: &[&str] = &[
    "name", "match", "command", "dir", "env", "restart", "where", "cores", "reserve", "weight",
    "memory", "slo", "metrics",
];

/// Keys of a `[[process]]` of which it has exactly one: they say which processes it means.
pub(super) const PROCESS_SOURCES: &[&str] = &["match", "pid", "cgroup", "command"];

/// Keys of a `[[process]]` that need `command`.
pub(super) const COMMAND_ONLY: &[&str] = &["dir", "env", "restart"];

/// Keys of `match`.
pub(super) const MATCH: &[&str] = &["exe", "pid", "cgroup"];

/// Keys of `where`.
pub(super) const WHERE: &[&str] = &["cmdline", "user", "cwd"];

/// Keys of a model that later versions may have. They are refused, not ignored.
pub(super) const LATER: &[&str] = &["priority", "min", "max", "borrow"];

/// Keys of `queue`.
pub(super) const QUEUE: &[&str] = &["limit", "timeout", "overflow", "levels"];

/// Suggested percentiles of `slo`; any other `pN` between 0 and 100 is accepted too.
pub(super) const SLO: &[&str] = &["p50", "p90", "p95", "p99", "p99.9"];

/// Keys of one entry of `inputs`.
pub(super) const INPUT: &[&str] = &["range", "zeros", "npy"];

/// The kinds of `load`, each with its keys.
pub(super) const LOADS: &[(&str, &[&str])] = &[
    ("poisson", &["kind", "rate"]),
    ("constant", &["kind", "rate"]),
    ("closed", &["kind", "clients", "think"]),
    ("replay", &["kind", "file", "order", "rate", "carry"]),
];

/// Returns the known name that is nearest to a misspelt one, if it is near enough.
pub(super) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = written.to_lowercase();
    known
        .iter()
        .map(|name| (distance(&lower, name), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Returns the edit distance of two words. Swapping two neighbouring letters counts as one edit
/// (Damerau's optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, letter) in a.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != *other);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let before_column = column.checked_sub(1);
            if let Some(before_column) = before_column
                && previous == Some(*other)
                && b.get(before_column) == Some(&letter)
                && !before.is_empty()
            {
                best = best.min(at(&before, before_column) + 1);
            }
            next.push(best);
        }
        previous = Some(letter);
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(0)
}

/// "`a`, `b` or `c`".
pub(super) fn list(words: &[&str]) -> String {
    joined(words, "or")
}

/// "`a`, `b` and `c`".
pub(super) fn all_of(words: &[&str]) -> String {
    joined(words, "and")
}

fn joined(words: &[&str], last_word: &str) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {last_word} `{last}`", most.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("cores", "cores", 0),
            ("core", "cores", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("thraeds", "threads", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn suggests_only_near_names() {
        assert_eq!(nearest("core", MODEL), Some("cores"));
        assert_eq!(nearest("Thread", MODEL), Some("threads"));
        assert_eq!(nearest("conccurency", MODEL), Some("concurrency"));
        assert_eq!(nearest("zzz", MODEL), None);
        assert_eq!(nearest("x", QUEUE), None);
    }
}
