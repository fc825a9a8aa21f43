//! Messages about commands that cannot be started.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::layout::ProcessCommand;

/// The kernel's number of "Exec format error" (ENOEXEC), which the standard library doesn't name.
const EXEC_FORMAT: i32 = 8;

/// Returns why a command could not be started, and a remedy.
pub(super) fn describe(command: &ProcessCommand, error: &io::Error) -> String {
    let Some(program) = command.args.first() else {
        return "the command is empty: name a program in command".to_owned();
    };
    let failed = format!("cannot start {program}");
    if let Some(dir) = command.dir.as_deref().filter(|dir| !dir.is_dir()) {
        return format!("{failed}: there is no folder {}; create it, or change dir", dir.display());
    }
    let is_path = program.contains('/');
    match error.kind() {
        ErrorKind::NotFound if is_path && exists(program, command.dir.as_deref()) => format!(
            "{failed}: the interpreter that it needs is missing; check its first line (#!...), or \
             whether it was built for this system"
        ),
        ErrorKind::NotFound if is_path => {
            format!("{failed}: there is no such file; correct the path in command")
        }
        ErrorKind::NotFound => format!(
            "{failed}: no program of this name is in PATH; install it, or give its full path in command"
        ),
        ErrorKind::PermissionDenied => format!(
            "{failed}: this user may not execute it; make it executable (chmod +x), or put its \
             interpreter first in command"
        ),
        _ if error.raw_os_error() == Some(EXEC_FORMAT) => format!(
            "{failed}: it is no program of this machine; a script needs a first line such as #!/bin/sh"
        ),
        _ => format!("{failed}: {error}"),
    }
}

fn exists(program: &str, dir: Option<&Path>) -> bool {
    dir.unwrap_or(Path::new("")).join(program).exists()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::layout::RestartPolicy;

    fn failure(args: &[&str], dir: Option<&Path>) -> String {
        let command = ProcessCommand {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            dir: dir.map(Path::to_owned),
            env: std::collections::BTreeMap::new(),
            restart: RestartPolicy::Never,
        };
        let mut system = Command::new(args.first().unwrap());
        if let Some(dir) = dir {
            system.current_dir(dir);
        }
        describe(&command, &system.spawn().unwrap_err())
    }

    #[test]
    fn missing_program_is_named() {
        let reason = failure(&["no-such-program-here"], None);
        assert!(reason.contains("no-such-program-here: no program of this name"), "{reason}");
        let reason = failure(&["./missing"], None);
        assert!(reason.contains("no such file"), "{reason}");
    }

    #[test]
    fn missing_folder_is_named() {
        let reason = failure(&["sh"], Some(Path::new("/no/such/folder")));
        assert!(reason.contains("no folder /no/such/folder"), "{reason}");
    }

    #[cfg(unix)]
    #[test]
    fn unusable_files_have_a_remedy() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        let check = |text: &str, mode: u32, expected: &str| {
            std::fs::write(&script, text).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).unwrap();
            let reason = failure(&["./script"], Some(folder.path()));
            assert!(reason.contains(expected), "{reason}");
        };
        check("#!/bin/sh\n", 0o644, "chmod +x");
        check("#!/no/such/shell\n", 0o755, "interpreter that it needs is missing");
        check("\u{7f}ELF", 0o755, "no program of this machine");
    }
}
