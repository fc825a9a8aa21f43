//! The newest snapshot as JSON, written once for all readers.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::snapshot_json::{SnapshotParts, snapshot_json};
use crate::telemetry::Snapshot;

/// The lines of one snapshot, each written when the first reader asks for its parts.
#[derive(Default)]
pub(super) struct SnapshotCache(Mutex<CachedLines>);

#[derive(Default)]
struct CachedLines {
    snapshot: Option<Arc<Snapshot>>,
    lines: [Option<Bytes>; SnapshotParts::COMBINATIONS],
}

impl SnapshotCache {
    /// Returns the line of a snapshot. Readers of the same snapshot share it.
    ///
    /// # Errors
    /// An error if the snapshot cannot be written as JSON.
    pub(super) fn line(
        &self,
        snapshot: &Arc<Snapshot>,
        parts: SnapshotParts,
    ) -> serde_json::Result<Bytes> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !cached.snapshot.as_ref().is_some_and(|known| Arc::ptr_eq(known, snapshot)) {
            *cached = CachedLines { snapshot: Some(snapshot.clone()), ..CachedLines::default() };
        }
        let line = cached.lines.get_mut(parts.index());
        if let Some(Some(line)) = &line {
            return Ok(line.clone());
        }
        let written = Bytes::from(snapshot_json(snapshot, parts)?);
        if let Some(line) = line {
            *line = Some(written.clone());
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_one_line() {
        let cache = SnapshotCache::default();
        let first = Arc::new(Snapshot { sequence: 1, ..Snapshot::default() });
        let line = |snapshot: &_, parts| cache.line(snapshot, parts).unwrap();
        let short = line(&first, SnapshotParts::default());
        assert_eq!(short.as_ptr(), line(&first, SnapshotParts::default()).as_ptr());
        assert_ne!(short, line(&first, SnapshotParts::ALL));
        let second = Arc::new(Snapshot { sequence: 2, ..Snapshot::default() });
        let newer = line(&second, SnapshotParts::default());
        assert!(String::from_utf8(newer.to_vec()).unwrap().contains(r#""sequence":2"#));
    }
}
