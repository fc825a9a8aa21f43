//! Progress messages of a run without a terminal: loading, failures, alerts.

use std::collections::BTreeSet;

use super::headless::{has_processes, is_failure};
use crate::telemetry::{ModelState, Snapshot, name_list};

/// Turns snapshots into messages, each of which appears once.
#[derive(Debug, Default)]
pub struct Progress {
    /// The last message about loading.
    loading: String,
    is_ready: bool,
    failed: BTreeSet<String>,
    alerts: BTreeSet<String>,
}

impl Progress {
    /// Returns the messages that are new in this snapshot.
    pub fn lines(&mut self, snapshot: &Snapshot) -> Vec<String> {
        if snapshot.version == 0 {
            return Vec::new();
        }
        let mut lines = self.failures(snapshot);
        lines.extend(self.loading(snapshot));
        lines.extend(self.alerts(snapshot));
        lines
    }

    fn failures(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for model in &snapshot.models {
            let name = &model.row.budget.name;
            match &model.state {
                ModelState::Failed { reason } => {
                    if self.failed.insert(name.clone()) {
                        let verb = if is_failure(model) { " failed" } else { "" };
                        lines.push(format!("{name}{verb}: {reason}"));
                    }
                }
                _ => {
                    self.failed.remove(name);
                }
            }
        }
        lines
    }

    fn loading(&mut self, snapshot: &Snapshot) -> Option<String> {
        let total = snapshot.models.len();
        let loading: Vec<&str> = snapshot
            .models
            .iter()
            .filter(|model| model.state == ModelState::Loading)
            .map(|model| model.row.budget.name.as_str())
            .collect();
        if loading.is_empty() {
            if self.is_ready {
                return None;
            }
            self.is_ready = true;
            let ready = total - self.failed.len();
            let seconds = snapshot.uptime_us as f64 / 1e6;
            let rows = if has_processes(snapshot) { "rows" } else { "models" };
            return Some(format!("{ready} of {total} {rows} ready after {seconds:.1} s"));
        }
        let done = total - loading.len();
        let line = format!("loading {} ({done} of {total} ready)", name_list(&loading));
        if line == self.loading {
            return None;
        }
        self.is_ready = false;
        self.loading.clone_from(&line);
        Some(line)
    }

    fn alerts(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        let mut alerts = BTreeSet::new();
        for alert in &snapshot.alerts {
            // figures change with each snapshot: they don't make an alert new
            let mut key = format!("{:?} {}", alert.model, alert.text);
            key.retain(|letter| !letter.is_ascii_digit());
            if !self.alerts.contains(&key) && !alerts.contains(&key) {
                lines.push(match &alert.model {
                    Some(model) if !alert.text.contains(model) => {
                        format!("{model}: {}", alert.text)
                    }
                    _ => alert.text.clone(),
                });
            }
            alerts.insert(key);
        }
        self.alerts = alerts;
        lines
    }
}
