//! A server of scripted answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A server on a free port of the loopback interface. Dropping it ends it.
pub(in crate::process) struct PageServer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PageServer {
    /// Starts a server whose answers, as bytes on the wire, follow from their number.
    pub(in crate::process) fn start(answer: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Self {
        let mut number = 0;
        Self::serve(move |mut stream| {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it > 0) {
                request.push(byte[0]);
            }
            // A client that has seen enough closes the connection.
            let _ = stream.write_all(&answer(number));
            number += 1;
        })
    }

    /// Starts a server that accepts connections and never answers.
    pub(in crate::process) fn silent() -> Self {
        let mut open = Vec::new();
        Self::serve(move |stream| open.push(stream))
    }

    fn serve(mut handle: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = stopped.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                handle(stream.unwrap());
            }
        });
        Self { address, stopped, thread: Some(thread) }
    }

    /// Returns the URL of a path.
    pub(in crate::process) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the answer that has this page.
pub(in crate::process) fn answer(page: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{page}", page.len()).into_bytes()
}
