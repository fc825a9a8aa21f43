//! The words beside a report: what is being loaded, what failed, what the operator should know.

use std::collections::BTreeSet;

use crate::telemetry::{ModelState, Snapshot};

/// Remembers what it has said, so that each thing is said once.
#[derive(Debug, Default)]
pub struct Progress {
    loading: String,
    ready: bool,
    failed: BTreeSet<String>,
    alerts: BTreeSet<String>,
}

impl Progress {
    /// What is new in this snapshot, a sentence a line.
    pub fn lines(&mut self, snapshot: &Snapshot) -> Vec<String> {
        if snapshot.version == 0 {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let total = snapshot.models.len();
        let loading: Vec<&str> = snapshot
            .models
            .iter()
            .filter(|model| model.state == ModelState::Loading)
            .map(|model| model.row.budget.name.as_str())
            .collect();
        for model in &snapshot.models {
            let name = &model.row.budget.name;
            match &model.state {
                ModelState::Failed { reason } => {
                    if self.failed.insert(name.clone()) {
                        lines.push(format!("{name} failed: {reason}"));
                    }
                }
                _ => {
                    self.failed.remove(name);
                }
            }
        }
        if loading.is_empty() {
            if !self.ready {
                self.ready = true;
                let ready = total - self.failed.len();
                let seconds = snapshot.uptime_us as f64 / 1e6;
                lines.push(format!("{ready} of {total} models ready after {seconds:.1} s"));
            }
        } else {
            let done = total - loading.len();
            let line = format!("loading {} … {done}/{total}", loading.join(", "));
            if line != self.loading {
                self.ready = false;
                lines.push(line.clone());
                self.loading = line;
            }
        }
        let mut alerts = BTreeSet::new();
        for alert in &snapshot.alerts {
            // the figures in a standing alert move with each snapshot: they don't make it new
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
