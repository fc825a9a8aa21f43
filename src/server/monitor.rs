//! The part of a server that exists before its scheduler: counters, bytes in flight, drain, listeners. The
//! observer reads it for its snapshots.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::activity::Activity;
use super::drain::Drain;
use super::in_flight::InFlight;
use super::view::RateSampler;
use crate::layout::ServerLimits;
use crate::machine::running_now;
use crate::telemetry::{ListenerView, Protocol, ServerSource, ServerView};

/// The source of [`ServerView`]s. It exists before the scheduler that reads it and before the server, which
/// is made for a scheduler.
pub struct ServerMonitor {
    /// Connections and counters.
    pub activity: Arc<Activity>,
    /// Bytes of requests and answers.
    pub in_flight: Arc<InFlight>,
    /// The drain at the end.
    pub drain: Drain,
    connection_limit: AtomicUsize,
    listeners: Mutex<Vec<ListenerView>>,
    rates: Mutex<RateSampler>,
}

impl ServerMonitor {
    /// Returns the monitor of a server that does not listen yet.
    pub fn new(limits: &ServerLimits) -> Self {
        Self {
            activity: Arc::default(),
            in_flight: Arc::new(InFlight::new(limits.in_flight)),
            drain: Drain::default(),
            connection_limit: AtomicUsize::new(limits.connections),
            listeners: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    /// Sets the limits that the views show, and the bound on bytes in flight.
    pub fn set_limits(&self, limits: &ServerLimits) {
        self.in_flight.set_limit(limits.in_flight);
        self.connection_limit.store(limits.connections, Ordering::Relaxed);
    }

    /// Adds an address on which the server listens from now on.
    pub fn add_listener(&self, protocol: Protocol, address: SocketAddr) {
        let listener = ListenerView { protocol, address: address.to_string() };
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Removes all addresses: the server has closed its listeners.
    pub fn remove_listeners(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Default for ServerMonitor {
    fn default() -> Self {
        Self::new(&ServerLimits::default())
    }
}

impl ServerSource for ServerMonitor {
    fn latest(&self) -> Arc<ServerView> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = rates.sample(&self.activity, running_now());
        view.listeners.clone_from(&self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        view.is_draining = self.drain.has_started();
        view.connection_limit = self.connection_limit.load(Ordering::Relaxed);
        view.in_flight_bytes = self.in_flight.used();
        view.in_flight_limit_bytes = self.in_flight.limit();
        Arc::new(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_shows_limits_listeners_drain() {
        let monitor = ServerMonitor::default();
        let limits = ServerLimits { connections: 3, in_flight: 100, ..ServerLimits::default() };
        monitor.set_limits(&limits);
        monitor.add_listener(Protocol::Grpc, SocketAddr::from(([127, 0, 0, 1], 8001)));
        let held = monitor.in_flight.reserve(40).unwrap();
        let view = monitor.latest();
        assert_eq!((view.in_flight_bytes, view.in_flight_limit_bytes), (40, 100));
        assert_eq!((view.connection_limit, view.is_draining), (3, false));
        assert_eq!(view.listeners[0].address, "127.0.0.1:8001");
        monitor.drain.start();
        monitor.remove_listeners();
        drop(held);
        let view = monitor.latest();
        assert!(view.is_draining && view.listeners.is_empty() && view.in_flight_bytes == 0);
    }
}
