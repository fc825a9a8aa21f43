//! Saved layouts of the host.

use divvy::Control;
use divvy::control::api::{ErrorKind, SaveBody};
use divvy::scheduler::{CurrentLayout, SaveCondition};

use super::host::{TestHost, kind};

#[test]
fn layouts_are_saved_on_the_host() {
    let host = TestHost::new();
    let client = host.client("test");
    let layout = host.scheduler.layout();
    let body = |condition| SaveBody { layout: layout.clone(), condition };
    assert_eq!(client.save_layout("my night", &body(SaveCondition::New)).unwrap().place, "memory");
    let again = client.save_layout("my night", &body(SaveCondition::New)).unwrap_err();
    assert_eq!(kind(&again), ErrorKind::Refused);
    assert_eq!(client.stored_layout("my night").unwrap().layout, layout);
    client.set_current_layout(&CurrentLayout::default()).unwrap();
    client.rename_layout("my night", "day").unwrap();
    assert_eq!(client.layouts().unwrap().layouts[0].name, "day");
    client.delete_layout("day").unwrap();
    assert_eq!(kind(&client.delete_layout("day").unwrap_err()), ErrorKind::NotFound);
    assert_eq!(kind(&client.stored_layout("../x").unwrap_err()), ErrorKind::BadRequest);
}
