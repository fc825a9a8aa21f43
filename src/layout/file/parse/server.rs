//! The `[server]` of a layout file: the limits of the server.

use super::reader::{Reader, TomlValue};
use crate::layout::ServerKeys;
use crate::layout::file::keys;

/// The most connections.
const MOST_CONNECTIONS: i64 = ServerKeys::MAX_CONNECTIONS as i64;

/// Reads `server`.
pub(super) fn server(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> ServerKeys {
    let mut limits = ServerKeys::default();
    let help = "write the limits below the header `[server]`";
    let Some(table) = reader.table(value, "`server`", help) else { return limits };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let what = format!("`{name}`");
        match name {
            "max_body" => limits.max_body = reader.bytes(value, &what),
            "max_header" => limits.max_header = reader.bytes(value, &what),
            "max_connections" => {
                let help = "write a number from 1 to 1,000,000";
                let count = reader.count(value, &what, MOST_CONNECTIONS, help);
                limits.max_connections = count.and_then(|count| u32::try_from(count).ok());
            }
            "max_in_flight" => limits.max_in_flight = reader.bytes(value, &what),
            "receive_timeout" => limits.receive_timeout = reader.duration(value, &what),
            "send_timeout" => limits.send_timeout = reader.duration(value, &what),
            "idle_timeout" => limits.idle_timeout = reader.duration(value, &what),
            _ if keys::SERVER_OPTIONS.contains(&name) => {
                let option = name.replace('_', "-");
                reader.fault(
                    key.span(),
                    format!("`{name}` cannot be set in a layout: only the command line can"),
                    format!("remove it, and start divvy with `--{option}`"),
                );
            }
            _ => reader.unknown(key, "`server`", keys::SERVER),
        }
    }
    if let Err(fault) = limits.check() {
        let span = table.get(fault.key).unwrap_or(value).span();
        reader.fault(span, format!("`{}` is {}", fault.key, fault.problem), fault.remedy);
    }
    limits
}
