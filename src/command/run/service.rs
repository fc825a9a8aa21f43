//! Messages to the service manager (systemd, `Type=notify`): ready, reloading, stopping.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use tokio::sync::watch;

use crate::command::report::is_loaded;
use crate::telemetry::Snapshot;

/// The variable with the socket of the service manager.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The service manager's socket, if there is a service manager. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ServiceManager(Option<Arc<ManagerSocket>>);

struct ManagerSocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl ServiceManager {
    /// The service manager of this process, by its variable.
    pub(super) fn of_environment() -> Self {
        let Some(path) = std::env::var_os(VARIABLE) else { return Self::default() };
        Self(ManagerSocket::open(path.as_encoded_bytes()).map_or_else(
            |error| {
                tracing::warn!("the service manager gets no messages: {VARIABLE}: {error}");
                None
            },
            |socket| Some(Arc::new(socket)),
        ))
    }

    /// Sends a message. One that the service manager does not take is lost, so that it never delays the run.
    fn send(&self, message: &str) {
        let Some(manager) = &self.0 else { return };
        if let Err(error) = manager.socket.send_to_addr(message.as_bytes(), &manager.address) {
            tracing::warn!("the service manager does not take messages: {error}");
        }
    }

    /// Reports that the run is ready once no model is loading any more.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn follow(&self, mut snapshots: watch::Receiver<Arc<Snapshot>>) -> io::Result<()> {
        if self.0.is_none() {
            return Ok(());
        }
        let manager = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        std::thread::Builder::new().name("divvy-service".to_owned()).spawn(move || {
            // an error means that the run has ended before
            if runtime.block_on(snapshots.wait_for(|snapshot| is_loaded(snapshot))).is_ok() {
                manager.ready();
            }
        })?;
        Ok(())
    }

    /// Reports that the run is ready, also after a reload.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// Reports the start of a reload.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Reports that the run drains and ends.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }
}

impl ManagerSocket {
    fn open(path: &[u8]) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address: address(path)? })
    }
}

/// Returns the address of a socket: a path, or a name in the abstract namespace behind `@`.
fn address(path: &[u8]) -> io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    match path {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
        _ => Err(io::Error::other("neither a path nor an abstract name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let socket = ManagerSocket::open(path.as_os_str().as_encoded_bytes()).unwrap();
        let manager = ServiceManager(Some(Arc::new(socket)));
        manager.reloading();
        manager.ready();
        manager.stopping();
        let receive = || {
            let mut bytes = [0; 100];
            let length = receiver.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        assert!(receive().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!((receive().as_str(), receive().as_str()), ("READY=1", "STOPPING=1"));
    }

    #[test]
    fn relative_socket_is_refused() {
        assert!(address(b"notify").is_err() && address(b"").is_err());
        assert!(address(b"@name").is_ok() || !cfg!(target_os = "linux"));
    }
}
