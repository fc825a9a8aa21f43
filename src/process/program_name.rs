//! The name of a process's program, as its user knows it.

use std::path::Path;

/// The most bytes of a process's name that the kernel keeps.
const LONGEST_NAME: usize = 15;

/// Returns the file name of a process's executable or, if it was started under another name, that name: Debian's
/// `redis-server` is a link to `redis-check-rdb`. `process` is the kernel's name of the process, which stands for
/// the executable if that is hidden.
pub(super) fn program_name(exe: Option<&Path>, process: &str, command_line: &str) -> String {
    let Some(file) = exe.and_then(file_name) else { return process.to_owned() };
    if is_name_of(&file, process) {
        return file;
    }
    let started = command_line.split_whitespace().next().map(Path::new).and_then(file_name);
    started.filter(|name| is_name_of(name, process)).unwrap_or(file)
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Returns true if the kernel names a process so that was started with this file name.
fn is_name_of(file: &str, process: &str) -> bool {
    file.starts_with(process) && (file.len() == process.len() || process.len() >= LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_keeps_its_own_name() {
        for (exe, process, command_line, want) in [
            ("/usr/bin/redis-check-rdb", "redis-server", "redis-server *:6379", "redis-server"),
            ("/usr/sbin/nginx", "nginx", "nginx: master process nginx", "nginx"),
            ("/usr/bin/tmux", "tmux: server", "tmux new -s x", "tmux"),
            ("/usr/bin/python3.11", "python3", "/usr/bin/python3 -u x.py", "python3"),
            ("/opt/a-name-of-many-letters", "a-name-of-many-", "x", "a-name-of-many-letters"),
            ("/usr/bin/python3.11", "server.py", "/usr/bin/python3 server.py", "python3.11"),
        ] {
            assert_eq!(program_name(Some(Path::new(exe)), process, command_line), want);
        }
        assert_eq!(program_name(None, "secretd", ""), "secretd");
    }
}
