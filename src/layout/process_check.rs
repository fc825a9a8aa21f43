//! The valid values of a process row's source. A layout file and a change are checked alike, so that every
//! live layout can be saved.

use std::path::Path;

use super::process_source::{ProcessCommand, ProcessFilter, ProcessSelector, ProcessSource};

/// A value of a process row that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFault {
    /// The key of a layout file that holds it.
    pub(super) key: &'static str,
    /// The fault, as the end of a sentence that begins with the key: "is empty".
    pub(super) problem: String,
    /// The remedy.
    pub(super) remedy: &'static str,
}

impl ProcessSource {
    /// Returns what is wrong with its values, with a remedy; `None` if a layout may have them.
    pub fn fault(&self) -> Option<String> {
        self.check().err().map(|fault| format!("{} {}; {}", fault.key, fault.problem, fault.remedy))
    }

    /// Checks all values.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn check(&self) -> Result<(), SourceFault> {
        match &self.selector {
            ProcessSelector::Exe(exe) => self::exe(exe)?,
            ProcessSelector::Pid(pid) if *pid <= 0 => {
                let remedy = "write the number of a process, as `ps` lists it";
                return fault("match", "has a `pid` below 1", remedy);
            }
            ProcessSelector::Pid(_) => {}
            ProcessSelector::Cgroup(path) => cgroup(path)?,
            ProcessSelector::Command(command) => self::command(command)?,
        }
        if matches!(self.selector, ProcessSelector::Command(_)) && !self.filter.is_empty() {
            let remedy = "remove it: the row holds what the command starts";
            return fault("where", "is set beside `command`", remedy);
        }
        filter(&self.filter)?;
        self.metrics.as_deref().map_or(Ok(()), metrics)
    }
}

fn fault<T>(
    key: &'static str,
    problem: impl Into<String>,
    remedy: &'static str,
) -> Result<T, SourceFault> {
    Err(SourceFault { key, problem: problem.into(), remedy })
}

fn exe(exe: &str) -> Result<(), SourceFault> {
    let remedy = "write the file name of the executable, or its absolute path, like \
                  `match = { exe = \"redis-server\" }`";
    if exe.trim().is_empty() {
        return fault("match", "has an empty `exe`", remedy);
    }
    if exe.chars().any(char::is_control) {
        return fault("match", "has an `exe` with a control character", remedy);
    }
    let path = Path::new(exe);
    if exe.contains('/') && (!path.is_absolute() || path.file_name().is_none()) {
        return fault("match", format!("has an `exe` that is no absolute path: {exe}"), remedy);
    }
    Ok(())
}

fn cgroup(path: &str) -> Result<(), SourceFault> {
    let remedy =
        "write it as /proc/PID/cgroup has it, like `cgroup = \"/system.slice/ollama.service\"`";
    if !path.starts_with('/') {
        return fault("match", "has a `cgroup` that does not start with /", remedy);
    }
    if path.chars().any(char::is_control) {
        return fault("match", "has a `cgroup` with a control character", remedy);
    }
    Ok(())
}

fn command(command: &ProcessCommand) -> Result<(), SourceFault> {
    let remedy =
        "write the program and its arguments, like `command = [\"python\", \"server.py\"]`";
    if command.args.first().is_none_or(|program| program.trim().is_empty()) {
        return fault("command", "names no program", remedy);
    }
    if command.args.iter().any(|arg| arg.contains('\0')) {
        return fault("command", "has a null character", remedy);
    }
    if command.dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
        return fault("dir", "is not an absolute path", "name the folder from / on");
    }
    let is_wrong = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    if command.env.iter().any(|(name, value)| is_wrong(name) || value.contains('\0')) {
        let remedy = "a name has one character or more and no `=`; no text has a null character";
        return fault("env", "has a variable that no process can have", remedy);
    }
    Ok(())
}

fn filter(filter: &ProcessFilter) -> Result<(), SourceFault> {
    let remedy = "write `where = { cmdline = \"TEXT\", user = \"NAME\", cwd = \"/FOLDER\" }` or a part of it";
    for (name, value) in [("cmdline", &filter.cmdline), ("user", &filter.user)] {
        if value.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return fault("where", format!("has an empty `{name}`"), remedy);
        }
    }
    if filter.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
        return fault("where", "has a `cwd` that is no absolute path", remedy);
    }
    Ok(())
}

fn metrics(url: &str) -> Result<(), SourceFault> {
    let remedy = "write the URL of its Prometheus page, like \"http://127.0.0.1:8002/metrics\"";
    let Some(rest) = url.strip_prefix("http://") else {
        let problem = if url.starts_with("https://") {
            "starts with https://, which divvy does not speak"
        } else {
            "does not start with http://"
        };
        return fault("metrics", problem, remedy);
    };
    if rest.is_empty() || rest.starts_with(['/', ':', '#', '?']) {
        return fault("metrics", "names no host", remedy);
    }
    if url.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return fault("metrics", "has a space or a control character", remedy);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &ProcessSource) -> Option<String> {
        source.check().err().map(|fault| format!("{} {}", fault.key, fault.problem))
    }

    #[test]
    fn accepts_names_paths_or_cgroups() {
        for selector in [
            ProcessSelector::Exe("redis-server".into()),
            ProcessSelector::Exe("/usr/bin/redis-server".into()),
            ProcessSelector::Pid(2),
            ProcessSelector::Cgroup("/system.slice/ollama.service".into()),
        ] {
            assert_eq!(problem(&ProcessSource::new(selector)), None);
        }
    }

    #[test]
    fn faults_name_their_key() {
        let metrics = |url: &str| ProcessSource {
            metrics: Some(url.into()),
            ..ProcessSource::new(ProcessSelector::Exe("x".into()))
        };
        let command = ProcessCommand { args: vec!["x".into()], ..ProcessCommand::default() };
        let started = ProcessSource::new(ProcessSelector::Command(command.clone()));
        let user = ProcessFilter { user: Some("postgres".into()), ..ProcessFilter::default() };
        let env = [("a=b".to_owned(), String::new())].into();
        for (source, want) in [
            (
                ProcessSource::new(ProcessSelector::Exe("bin/x".into())),
                "match has an `exe` that is no",
            ),
            (ProcessSource::new(ProcessSelector::Exe(" ".into())), "match has an empty"),
            (ProcessSource::new(ProcessSelector::Pid(0)), "match has a `pid`"),
            (ProcessSource::new(ProcessSelector::Cgroup("x".into())), "match has a `cgroup`"),
            (
                ProcessSource::new(ProcessSelector::Command(ProcessCommand::default())),
                "command names no",
            ),
            (
                ProcessSource::new(ProcessSelector::Command(ProcessCommand {
                    dir: Some("x".into()),
                    ..command.clone()
                })),
                "dir is not",
            ),
            (
                ProcessSource::new(ProcessSelector::Command(ProcessCommand { env, ..command })),
                "env has",
            ),
            (ProcessSource { filter: user, ..started }, "where is set beside"),
            (metrics("https://h/metrics"), "metrics starts with https"),
            (metrics("http:///metrics"), "metrics names no host"),
            (metrics("h/metrics"), "metrics does not start"),
        ] {
            let problem = problem(&source).unwrap_or_default();
            assert!(problem.starts_with(want), "{problem} for {want}");
        }
    }
}
