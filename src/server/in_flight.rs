//! The bound on the bytes of all requests and answers in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// The bytes in flight of a server and their bound.
#[derive(Debug)]
pub struct InFlight {
    used: AtomicU64,
    limit: AtomicU64,
}

/// Bytes in flight; dropping it frees them.
#[derive(Debug)]
pub struct Reservation {
    of: Arc<InFlight>,
    bytes: u64,
}

impl InFlight {
    /// Returns an empty account with a bound in bytes.
    pub fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    /// Sets the bound; it applies to requests from now on.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns the bound in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Returns the bytes in flight.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Reserves the bytes of a request; `None` if they do not fit.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let limit = self.limit();
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Reservation { of: self.clone(), bytes })
    }
}

impl Reservation {
    /// Adds the bytes of an answer. It has been computed, so it is never refused; it leaves less room for
    /// new requests.
    pub fn add(&mut self, bytes: u64) {
        self.of.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Reserves more bytes of a request whose size was not known; false if they do not fit.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let Some(mut more) = self.of.reserve(bytes) else { return false };
        self.bytes += std::mem::take(&mut more.bytes);
        true
    }

    /// Frees the bytes of the request that are no longer held.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.of.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes with what they hold.
struct HeldBytes<T> {
    bytes: Bytes,
    _held: T,
}

impl<T> AsRef<[u8]> for HeldBytes<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the same bytes, which drop `held` once the connection has written them.
pub(super) fn hold<T: Send + 'static>(bytes: Bytes, held: T) -> Bytes {
    Bytes::from_owner(HeldBytes { bytes, _held: held })
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_within_the_bound() {
        let in_flight = Arc::new(InFlight::new(100));
        let mut first = in_flight.reserve(60).unwrap();
        assert!(in_flight.reserve(41).is_none());
        assert!(first.grow(40) && !first.grow(1));
        first.shrink(30);
        first.add(50);
        assert_eq!(in_flight.used(), 120);
        assert!(in_flight.reserve(1).is_none());
        drop(first);
        assert_eq!(in_flight.used(), 0);
        assert!(in_flight.reserve(u64::MAX).is_none());
    }
}
