//! Open connections, and counts of requests from outside per model. Requests count with atomic
//! operations only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use super::serve_error::ErrorKind;
use crate::telemetry::Protocol;

/// The connections and counters of a server.
#[derive(Default)]
pub struct Activity {
    next: AtomicU64,
    open: AtomicUsize,
    connections: Mutex<BTreeMap<u64, Arc<ConnectionCounters>>>,
    models: RwLock<BTreeMap<String, Arc<ModelActivity>>>,
    /// Requests that name no model of the layout.
    unknown: Arc<ModelActivity>,
    refused_connections: AtomicU64,
    accept_errors: AtomicU64,
    newest_accept_error: Mutex<Option<String>>,
}

/// The requests from outside to the models of one name.
#[derive(Debug, Default)]
pub struct ModelActivity {
    answered: AtomicU64,
    refused: [AtomicU64; ErrorKind::ALL.len()],
}

/// The counters of one connection.
#[derive(Debug)]
pub struct ConnectionCounters {
    /// Its number, unique in this run.
    pub id: u64,
    /// The client.
    pub peer: SocketAddr,
    /// Its protocol.
    pub protocol: Protocol,
    /// When it was accepted.
    pub since: Instant,
    /// Requests so far.
    pub requests: AtomicU64,
    /// Requests that have ended.
    pub ended: AtomicU64,
    /// Bytes of the bodies of requests.
    pub received: AtomicU64,
    /// Bytes of the bodies of answers.
    pub sent: AtomicU64,
    /// The name of the newest request's model. Replaced only when it changes.
    pub model: RwLock<Arc<str>>,
}

/// An open connection. Dropping the last clone closes it.
#[derive(Clone)]
pub struct Connection {
    open: Arc<OpenConnection>,
}

struct OpenConnection {
    counters: Arc<ConnectionCounters>,
    activity: Arc<Activity>,
}

impl Activity {
    /// Adds a connection; `None`, which counts as a refused one, if `limit` connections are open.
    pub fn connect(
        self: &Arc<Self>,
        peer: SocketAddr,
        protocol: Protocol,
        limit: usize,
    ) -> Option<Connection> {
        let fits = |open: usize| (open < limit).then_some(open + 1);
        if self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            self.refused_connections.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let counters = Arc::new(ConnectionCounters {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            peer,
            protocol,
            since: Instant::now(),
            requests: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            model: RwLock::new("".into()),
        });
        self.connections().insert(counters.id, counters.clone());
        let open = OpenConnection { counters, activity: self.clone() };
        Some(Connection { open: Arc::new(open) })
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that were refused because the limit was reached.
    pub fn refused_connections(&self) -> u64 {
        self.refused_connections.load(Ordering::Relaxed)
    }

    /// Counts a connection that could not be accepted, with the system's message.
    pub fn count_accept_error(&self, message: impl Into<String>) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
        let mut newest = self.newest_accept_error.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some(message.into());
    }

    /// Returns the number of connections that could not be accepted.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    /// Returns the system's message of the newest accept error.
    pub fn newest_accept_error(&self) -> Option<String> {
        self.newest_accept_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ConnectionCounters>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the open connections.
    pub fn list_connections(&self) -> Vec<Arc<ConnectionCounters>> {
        self.connections().values().cloned().collect()
    }

    /// Returns the counters of the models of a name. Call it only for names in the layout, so that their
    /// number is bounded.
    pub fn model(&self, name: &str) -> Arc<ModelActivity> {
        let known = self.models.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
            models.entry(name.to_owned()).or_default().clone()
        })
    }

    /// Returns the counters of requests that name no model of the layout, or that ended before their model
    /// was known.
    pub fn unknown_model(&self) -> &Arc<ModelActivity> {
        &self.unknown
    }

    /// Returns the counters of all models by name.
    pub fn models(&self) -> Vec<(String, Arc<ModelActivity>)> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.iter().map(|(name, activity)| (name.clone(), activity.clone())).collect()
    }
}

impl ModelActivity {
    /// Counts the end of a request: answered, or the kind of its error.
    pub fn count(&self, error: Option<ErrorKind>) {
        let counter = error.and_then(|kind| self.refused.get(kind.index()));
        counter.unwrap_or(&self.answered).fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of answered requests.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that ended with an error of this kind.
    pub fn refused(&self, kind: ErrorKind) -> u64 {
        self.refused.get(kind.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Connection {
    /// Counts a request to a model.
    pub fn begin_request(&self, model: &str) {
        let counters = &self.open.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let newest = counters.model.read().unwrap_or_else(PoisonError::into_inner).clone();
        if *newest != *model {
            *counters.model.write().unwrap_or_else(PoisonError::into_inner) = model.into();
        }
    }

    /// Counts the end of a request.
    pub fn end_request(&self) {
        self.open.counters.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of a request's body.
    pub fn add_received(&self, bytes: u64) {
        self.open.counters.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of an answer's body.
    pub fn add_sent(&self, bytes: u64) {
        self.open.counters.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.activity.connections().remove(&self.counters.id);
        self.activity.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited() {
        let activity = Arc::new(Activity::default());
        let peer = SocketAddr::from(([127, 0, 0, 1], 5));
        let first = activity.connect(peer, Protocol::Http, 1).unwrap();
        assert!(activity.connect(peer, Protocol::Http, 1).is_none());
        first.begin_request("a");
        assert_eq!(activity.list_connections().len(), 1);
        drop(first);
        assert_eq!((activity.open_connections(), activity.list_connections().len()), (0, 0));
        assert!(activity.connect(peer, Protocol::Grpc, 1).is_some());
    }

    #[test]
    fn requests_count_once() {
        let activity = Activity::default();
        activity.model("a").count(None);
        activity.model("a").count(Some(ErrorKind::QueueFull));
        let model = activity.model("a");
        let kinds = ErrorKind::ALL.map(|kind| model.refused(kind));
        assert_eq!((model.answered(), kinds.iter().sum::<u64>()), (1, 1));
        assert_eq!(model.refused(ErrorKind::QueueFull), 1);
    }
}
