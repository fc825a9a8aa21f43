//! Looks up processes that belong to no row yet: for the command line, and for layouts that are saved.

use std::path::Path;

use super::catalog::ProcessCatalog;
use super::scan::Scan;
use super::select::{OwnProcesses, ProcessChooser};
use crate::layout::{ProcessFilter, ProcessSelector, ProcessSource};
use crate::machine::{ProcessFiles, ProcessStat};

/// The processes of the system at one moment.
pub struct ProcessLookup {
    scan: Scan,
    catalog: ProcessCatalog,
    own: OwnProcesses,
}

impl ProcessLookup {
    /// Reads the system's processes.
    pub fn read() -> Self {
        let files = ProcessFiles::new(Path::new("/"));
        let scan = Scan::take(&files);
        let own = OwnProcesses::new(&scan, std::process::id().cast_signed());
        Self { scan, catalog: ProcessCatalog::new(files), own }
    }

    /// Returns the file name of a process's executable.
    ///
    /// # Errors
    /// The reason why the process can be no row, with a remedy.
    pub fn exe_name(&mut self, pid: i32) -> Result<String, String> {
        let Some(process) = self.scan.by_pid(pid) else {
            return Err("no process has this number; `ps` lists those that run".to_owned());
        };
        match self.own.refusal(process) {
            Some(reason) => Err(format!("{reason}: choose another one")),
            None => Ok(self.catalog.exe_name(process)),
        }
    }

    /// Returns the number of processes that a source means, without their descendants.
    ///
    /// # Errors
    /// The reason why it means too many, or none that can be a row, with a remedy.
    pub fn count(&mut self, source: &ProcessSource) -> Result<usize, String> {
        Ok(self.chooser().choose(source, None)?.len())
    }

    /// Returns a source for a saved layout: it means the process of a PID by its executable, with the conditions
    /// that distinguish it from others. `None` if the source has no PID, or no such process runs.
    pub fn lasting_source(&mut self, source: &ProcessSource) -> Option<ProcessSource> {
        let ProcessSelector::Pid(pid) = source.selector else { return None };
        let process = self.scan.by_pid(pid)?.clone();
        let selector = ProcessSelector::Exe(self.catalog.exe_name(&process));
        let conditions = self.conditions(&process, &source.filter);
        let sources = conditions.into_iter().map(|filter| ProcessSource {
            selector: selector.clone(),
            filter,
            metrics: source.metrics.clone(),
        });
        let mut sources: Vec<ProcessSource> = sources.collect();
        let exact = sources.iter().position(|source| {
            let found = self.chooser().choose(source, None);
            found.is_ok_and(|found| found.len() == 1 && found.iter().all(|id| id.pid == pid))
        });
        // none distinguishes it from all others: the strictest
        match exact {
            Some(at) => Some(sources.swap_remove(at)),
            None => sources.pop(),
        }
    }

    /// Returns the conditions that a process meets, from the weakest to the strictest.
    fn conditions(&mut self, process: &ProcessStat, own: &ProcessFilter) -> Vec<ProcessFilter> {
        let text = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        let cmdline = own.cmdline.clone().or_else(|| text(self.catalog.command_line(process)));
        let user = own.user.clone().or_else(|| text(self.catalog.user_name(process)));
        let cwd = own.cwd.clone().or_else(|| self.catalog.cwd(process));
        let with_cmdline = ProcessFilter { cmdline, ..own.clone() };
        let with_user = ProcessFilter { user, ..own.clone() };
        let both = ProcessFilter { user: with_user.user.clone(), ..with_cmdline.clone() };
        let all = ProcessFilter { cwd, ..both.clone() };
        vec![own.clone(), with_user, with_cmdline, both, all]
    }

    fn chooser(&mut self) -> ProcessChooser<'_> {
        ProcessChooser { scan: &self.scan, catalog: &mut self.catalog, own: &self.own }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process that ends with its value.
    struct Sleeper(Child);

    impl Sleeper {
        fn start(seconds: &str) -> Self {
            Self(Command::new("sleep").arg(seconds).spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            self.0.id().cast_signed()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn lasting_source_means_the_same_process() {
        let (one, other) = (Sleeper::start("987654321"), Sleeper::start("987654322"));
        let mut lookup = ProcessLookup::read();
        let source = ProcessSource::new(ProcessSelector::Pid(one.pid()));
        let lasting = lookup.lasting_source(&source).unwrap();
        assert!(matches!(&lasting.selector, ProcessSelector::Exe(_)));
        assert!(lasting.filter.cmdline.as_ref().is_some_and(|it| it.contains("987654321")));
        assert_eq!(lookup.chooser().choose(&lasting, None).unwrap()[0].pid, one.pid());
        assert!(lookup.exe_name(other.pid()).is_ok());
        assert_eq!(lookup.lasting_source(&lasting), None);
    }
}
