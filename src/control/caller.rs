//! The names of callers: the user, then the client.

use std::fs;

use axum::http::HeaderMap;

use super::api::{CLIENT_HEADER, CONSOLE_CLIENT, DEFAULT_CLIENT};
use super::folders::own_uid;
use crate::telemetry::{Author, CallerName};

/// Returns the name of a user. Users that `/etc/passwd` does not list, such as those of a directory service,
/// are "uid 1000": asking such a service could wait for the network.
pub fn user_name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    entry_name(&users, uid).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

/// Returns the id of a group by its name in `/etc/group`, or by its number.
pub(super) fn group_id(group: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
    });
    named.or_else(|| group.parse().ok())
}

/// Returns the name in a line like `name:x:1000:...`.
fn entry_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// Returns the author of a request. A console of the user who runs this divvy is the same caller as the
/// run's own console.
pub(super) fn author(user: &str, headers: &HeaderMap) -> Author {
    let caller = caller_name(user, headers);
    let own = caller_name_of(&user_name(own_uid()), CONSOLE_CLIENT);
    if caller == own { Author::Console } else { Author::Remote(caller) }
}

/// Returns the name of the caller of a request, for the journal.
fn caller_name(user: &str, headers: &HeaderMap) -> CallerName {
    let client = headers.get(CLIENT_HEADER).map(|name| String::from_utf8_lossy(name.as_bytes()));
    let client = client.as_deref().map(str::trim).filter(|client| !client.is_empty());
    caller_name_of(user, client.unwrap_or(DEFAULT_CLIENT))
}

fn caller_name_of(user: &str, client: &str) -> CallerName {
    CallerName::new(&format!("{user}/{client}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_by_passwd() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nana:x:1000:1000::/home/ana:/bin/sh\n";
        assert_eq!(entry_name(users, 0), Some("root"));
        assert_eq!(entry_name(users, 1000), Some("ana"));
        assert_eq!(entry_name(users, 1), None);
        assert_eq!(user_name(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
    }

    #[test]
    fn group_may_be_a_number() {
        assert_eq!(group_id("4711"), Some(4711));
        assert_eq!(group_id("no-such-group"), None);
    }

    #[test]
    fn caller_is_user_then_client() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller_name("ana", &headers).as_str(), "ana/cli");
        headers.insert(CLIENT_HEADER, "night".parse().unwrap());
        assert_eq!(caller_name("ana", &headers).as_str(), "ana/night");
    }

    #[test]
    fn own_console_is_the_console() {
        let mut headers = HeaderMap::new();
        headers.insert(CLIENT_HEADER, CONSOLE_CLIENT.parse().unwrap());
        assert_eq!(author(&user_name(own_uid()), &headers), Author::Console);
        let other = author("somebody else", &headers);
        assert_eq!(other, Author::Remote(CallerName::new("somebody else/console")));
    }
}
