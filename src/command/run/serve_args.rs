//! Arguments of the server.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::CommandError;
use crate::layout::{
    Bytes, RequestOrigin, ServerKeyFault, ServerKeys, ServerLimits, parse_duration,
};
use crate::server::{Access, ListenAddress, ServerSockets};
use crate::telemetry::Protocol;

/// Arguments of the server.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub struct ServeArgs {
    /// Serve the models over HTTP (Open Inference Protocol) on this address: a port of this machine (8000)
    /// or an IP address and a port; port 0 takes a free one. Models named as arguments or added with a key
    /// then have no built-in load. Repeatable.
    /// In a terminal, the models run in the background, and the console attaches to them.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<ListenAddress>,
    /// Serve the models over gRPC on this address, as --listen does over HTTP. Repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub listen_grpc: Vec<ListenAddress>,
    /// Answer only clients that send the token in this file (Authorization: Bearer TOKEN). Health needs
    /// none.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Listen on addresses that other machines can reach without a token.
    #[arg(long)]
    pub insecure_listen: bool,
    /// The longest time at the end for the requests that have been admitted. A second signal ends it. If it
    /// cuts requests, the exit code is 3.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub drain: Duration,
    /// Threads that read requests and write answers [default: one per two cores, at most 4].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub server_threads: Option<u16>,
    /// The largest body of a request, decompressed [default: 64MiB].
    #[arg(long, value_name = "SIZE")]
    pub max_body: Option<Bytes>,
    /// The largest head of a request (request line and headers) [default: 16KiB].
    #[arg(long, value_name = "SIZE")]
    pub max_header: Option<Bytes>,
    /// The most open connections [default: 1024].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,
    /// The most bytes of all requests and answers in flight [default: 1GiB].
    #[arg(long, value_name = "SIZE")]
    pub max_in_flight: Option<Bytes>,
    /// The longest time for the head, and for the body, of a request to arrive [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub receive_timeout: Option<Duration>,
    /// The longest time in which a client takes nothing of its answer [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub send_timeout: Option<Duration>,
    /// The longest time that a connection stays open without a request [default: 5m].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub idle_timeout: Option<Duration>,
}

impl ServeArgs {
    /// Returns true if divvy serves clients.
    pub(super) fn is_serving(&self) -> bool {
        !self.listen.is_empty() || !self.listen_grpc.is_empty()
    }

    /// Returns the source of the requests of models that are named without a layout.
    pub(super) fn requests(&self) -> RequestOrigin {
        if self.is_serving() { RequestOrigin::Clients } else { RequestOrigin::BuiltIn }
    }

    /// Returns the limits that the flags set.
    pub(super) fn limits(&self) -> ServerKeys {
        ServerKeys {
            max_body: self.max_body,
            max_header: self.max_header,
            max_connections: self.max_connections,
            max_in_flight: self.max_in_flight,
            receive_timeout: self.receive_timeout,
            send_timeout: self.send_timeout,
            idle_timeout: self.idle_timeout,
        }
    }

    /// Returns the limits of a server: those of the flags, then those of the layout, then the defaults.
    ///
    /// # Errors
    /// [`ServerKeyFault`] if the flags and the layout contradict each other.
    pub(super) fn limits_with(&self, layout: &ServerKeys) -> Result<ServerLimits, ServerKeyFault> {
        let merged = self.limits().or(layout);
        merged.check().map(|()| merged.limits())
    }

    fn addresses(&self) -> impl Iterator<Item = (&'static str, Protocol, ListenAddress)> {
        let http = self.listen.iter().map(|address| ("--listen", Protocol::Http, *address));
        let grpc =
            self.listen_grpc.iter().map(|address| ("--listen-grpc", Protocol::Grpc, *address));
        http.chain(grpc)
    }

    /// Checks the arguments against each other.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for options of a server without a server, for limits out of range, and
    /// for an address that other machines can reach without a token.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if !self.is_serving() {
            let other = [
                ("--token-file", self.token_file.is_some()),
                ("--insecure-listen", self.insecure_listen),
                ("--server-threads", self.server_threads.is_some()),
            ];
            let set =
                other.into_iter().find(|(_, is_set)| *is_set).map(|(option, _)| option.to_owned());
            let limit =
                || self.limits().first_set().map(|key| format!("--{}", key.replace('_', "-")));
            return match set.or_else(limit) {
                None => Ok(()),
                Some(option) => Err(CommandError::BadInput(format!(
                    "{option} works only with --listen or --listen-grpc; add one of them, or leave \
                     {option} out"
                ))),
            };
        }
        // a layout may set the limits that go with these
        if let Err(fault) = self.limits().check_ranges() {
            let option = fault.key.replace('_', "-");
            let (problem, remedy) = (fault.problem, fault.remedy);
            return Err(CommandError::BadInput(format!("--{option} is {problem}: {remedy}")));
        }
        let is_safe = self.token_file.is_some() || self.insecure_listen;
        match self.addresses().find(|(_, _, address)| !address.is_local()) {
            Some((option, _, address)) if !is_safe => Err(CommandError::BadInput(format!(
                "{option} {address}: other machines can reach this address, and everyone there could use \
                 the models; add --token-file FILE, or --insecure-listen if the network is trusted"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the clients that may use the server.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] for a token file that cannot be used.
    pub(super) fn access(&self) -> Result<Access, CommandError> {
        match &self.token_file {
            Some(path) => {
                Access::from_file(path).map_err(|error| CommandError::BadInput(error.to_string()))
            }
            None => Ok(Access::open()),
        }
    }

    /// Binds the addresses.
    ///
    /// # Errors
    /// [`CommandError::BadInput`] with the option and the address.
    pub(super) fn bind(&self) -> Result<ServerSockets, CommandError> {
        let mut sockets = ServerSockets::default();
        for (option, protocol, address) in self.addresses() {
            sockets
                .bind(protocol, address.0)
                .map_err(|error| CommandError::BadInput(format!("{option}: {error}")))?;
        }
        Ok(sockets)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn check(arguments: &[&str]) -> Result<(), String> {
        let all = std::iter::once("divvy").chain(arguments.iter().copied());
        TestArgs::parse_from(all).serve.check().map_err(|error| error.to_string())
    }

    #[test]
    fn foreign_address_needs_a_token() {
        assert_eq!(check(&["--listen", "8000", "--listen-grpc", "[::1]:0"]), Ok(()));
        for option in ["--listen", "--listen-grpc"] {
            let error = check(&[option, "0.0.0.0:80"]).unwrap_err();
            assert!(error.contains(option) && error.contains("--token-file"), "{error}");
            for safe in [&["--token-file", "t"][..], &["--insecure-listen"]] {
                assert_eq!(check(&[&[option, "0.0.0.0:80"], safe].concat()), Ok(()));
            }
        }
    }

    #[test]
    fn server_options_need_a_listener() {
        for option in
            [&["--max-body", "1MiB"][..], &["--server-threads", "2"], &["--insecure-listen"]]
        {
            let error = check(option).unwrap_err();
            assert!(error.contains(option[0]) && error.contains("--listen"), "{error}");
            assert_eq!(check(&[&["--listen", "0"], option].concat()), Ok(()));
        }
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        let error = check(&["--listen", "0", "--max-header", "1B"]).unwrap_err();
        assert!(error.contains("--max-header") && error.contains("KiB"), "{error}");
    }

    #[test]
    fn flags_win_over_the_layout() {
        let parsed = TestArgs::parse_from(["divvy", "--max-body", "2MiB"]).serve;
        let layout = ServerKeys {
            max_body: Some(Bytes(1)),
            max_in_flight: Some(Bytes(5 << 20)),
            ..ServerKeys::default()
        };
        let limits = parsed.limits_with(&layout).unwrap();
        assert_eq!((limits.body, limits.in_flight), (2 << 20, 5 << 20));
        assert_eq!(limits.connections, ServerLimits::default().connections);
    }
}
