//! Clients that misbehave: others' users, clients that vanish, random bytes, readers that stop.

use std::io::Write;
use std::time::{Duration, Instant};

use divvy::control::SnapshotParts;
use divvy::control::api::ChangeBody;

use super::host::{PATIENCE, TestHost, set_weight};

#[test]
fn other_user_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let host = TestHost::new();
    // even if the permissions let it connect
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    open(host.folder.path());
    open(&host.socket);
    let code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); \
                s.sendall(b'GET /v1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'); \
                print(s.makefile().read())";
    let mut command = std::process::Command::new("python3");
    command.arg("-c").arg(code).arg(&host.socket).uid(65534).gid(65534);
    let Ok(output) = command.output() else {
        eprintln!("skipped: no python3");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text} {:?}", String::from_utf8(output.stderr));
    assert!(text.contains(r#""kind":"forbidden""#), "{text}");
}

#[test]
fn vanishing_clients_cost_nothing() {
    let host = TestHost::new();
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
    let before = TestHost::open_files();
    let requests: [&[u8]; 4] = [
        b"",
        b"GET /v1/snaps",
        b"GET /v1/snapshots?include=all HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{",
    ];
    for round in 0..250 {
        let mut stream = host.connect();
        // the host may have closed it already
        let _ = stream.write_all(requests[round % requests.len()]);
    }
    let end = Instant::now() + PATIENCE;
    while TestHost::open_files() > before + 4 {
        assert!(Instant::now() < end, "{} files, {before} before", TestHost::open_files());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}

#[test]
fn random_bytes_do_no_harm() {
    let host = TestHost::new();
    let valid = serde_json::to_vec(&ChangeBody::new(set_weight(1).into())).unwrap();
    let mut random = fastrand::Rng::with_seed(4711);
    for _ in 0..400 {
        let mut body = valid.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..body.len());
            body[at] = random.u8(..);
        }
        let path = ["/v1/plan", "/v1/apply", "/v1/undo"][random.usize(..3)];
        let (status, ..) = host.ask("POST", path, "", &body);
        assert!((200..500).contains(&status), "{status}: {}", String::from_utf8_lossy(&body));
    }
    for _ in 0..100 {
        let bytes: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        let mut stream = host.connect();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}

#[test]
fn reader_that_stops_delays_nobody() {
    let host = TestHost::new();
    let mut slow = host.connect();
    slow.write_all(b"GET /v1/snapshots?include=all HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let client = host.client("quick");
    let sequence = || client.snapshot(SnapshotParts::default()).unwrap().sequence;
    // more than the buffers of the connection hold
    let first = sequence();
    let end = Instant::now() + PATIENCE;
    while sequence() < first + 60 {
        client.apply(&ChangeBody::new(set_weight(2 + (sequence() % 3) as u32).into())).ok();
        assert!(Instant::now() < end, "no snapshots");
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(host.ask("GET", "/v1", "", b"").0, 200);
}
