//! The mounted cgroup hierarchies, v1, v2 or a mix, and the group of a process in each. Reads below any
//! root folder, so that tests can use written trees.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The mounted cgroup hierarchies.
#[derive(Clone, Debug)]
pub(crate) struct CgroupMounts {
    root: PathBuf,
    mounts: Vec<Mount>,
}

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CgroupVersion {
    /// One hierarchy per controller, or per set of controllers.
    One,
    /// One hierarchy for all controllers.
    Two,
}

/// The group of a process in the hierarchy of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupPlace {
    /// The version of the hierarchy.
    pub(crate) version: CgroupVersion,
    /// The group's path, as `/proc/PID/cgroup` has it.
    pub(crate) path: String,
    /// The folder of the topmost group that is visible here.
    pub(crate) top: PathBuf,
    /// The group's path below that folder.
    below: PathBuf,
}

impl CgroupPlace {
    /// Returns the group's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.top.join(&self.below)
    }

    /// Returns the folders of the group and of those above it, as far as they are visible here.
    pub(crate) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.below.ancestors().map(|part| self.top.join(part))
    }

    /// Returns true if the group is the topmost one that is visible here.
    pub(crate) fn is_top(&self) -> bool {
        self.below.as_os_str().is_empty()
    }

    /// Returns true if the group is outside of the part that this process can see.
    pub(crate) fn is_hidden(&self) -> bool {
        self.path.split('/').any(|part| part == "..")
    }
}

/// One cgroup mount of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is visible at `point`.
    group: String,
    point: String,
    /// The controllers of a v1 mount; `None` for v2.
    controllers: Option<Vec<String>>,
}

impl CgroupMounts {
    /// Reads the mounts below `root` (`/` on the real machine).
    pub(crate) fn read(root: &Path) -> Self {
        let mountinfo = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        Self { root: root.to_owned(), mounts: mountinfo.lines().filter_map(mount).collect() }
    }

    /// Returns the group of a process in the v1 hierarchy of a controller, or else in the v2 hierarchy.
    /// `groups` is the text of its `/proc/PID/cgroup`.
    pub(crate) fn place(&self, groups: &str, controller: &str) -> Option<CgroupPlace> {
        let lines = || {
            groups.lines().filter_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                Some((fields.next()?, fields.next()?))
            })
        };
        let v1 = lines()
            .find(|(names, _)| names.split(',').any(|name| name == controller))
            .and_then(|(_, path)| Some((self.v1_mount(controller)?, path, CgroupVersion::One)));
        let (mount, path, version) = v1.or_else(|| {
            let (_, path) = lines().find(|(names, _)| names.is_empty())?;
            let mount = self.mounts.iter().find(|mount| mount.controllers.is_none())?;
            Some((mount, path, CgroupVersion::Two))
        })?;
        // In a container without its own cgroup namespace, the group's path is the host's, and the mount
        // has that group (or one above it) at its top.
        let below = Path::new(path).strip_prefix(&mount.group).unwrap_or(Path::new(""));
        Some(CgroupPlace {
            version,
            path: path.to_owned(),
            top: self.root.join(mount.point.trim_start_matches('/')),
            below: below.components().filter(|part| matches!(part, Component::Normal(_))).collect(),
        })
    }

    fn v1_mount(&self, controller: &str) -> Option<&Mount> {
        self.mounts.iter().find(|mount| {
            mount.controllers.as_ref().is_some_and(|all| all.iter().any(|name| name == controller))
        })
    }
}

/// Returns true if systemd has marked a group as delegated to the program in it (`Delegate=yes`).
pub(crate) fn is_delegated(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        let is_set = |name: &str| {
            let mut value = [0_u8; 8];
            matches!(rustix::fs::getxattr(folder, name, &mut value), Ok(1) if value.starts_with(b"1"))
        };
        // the second is for programs without privilege, since systemd 251
        is_set("trusted.delegate") || is_set("user.delegate")
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

/// Parses a line of mountinfo: `id parent dev group point options... - type source super-options`.
fn mount(line: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (group, point) = (unescape(place.next()?), unescape(place.next()?));
    let mut kind = kind.split(' ');
    let controllers = match kind.next()? {
        "cgroup2" => None,
        "cgroup" => Some(kind.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Mount { group, point, controllers })
}

/// Decodes a field of mountinfo, which writes space, tab, newline and backslash as a backslash and
/// three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_mounts_with_optional_fields() {
        let line = "40 31 0:37 /a\\040b /sys/fs/cgroup/cpu rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct";
        let found = mount(line).unwrap();
        assert_eq!((found.group.as_str(), found.point.as_str()), ("/a b", "/sys/fs/cgroup/cpu"));
        assert_eq!(found.controllers.unwrap(), ["rw", "cpu", "cpuacct"]);
        assert!(mount("22 1 8:1 / / rw - ext4 /dev/sda1 rw").is_none());
        assert!(mount("not a mount").is_none());
    }

    #[test]
    fn group_outside_the_namespace_is_hidden() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proc/self");
        fs::create_dir_all(&folder).unwrap();
        let line = "29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        fs::write(folder.join("mountinfo"), line).unwrap();
        let mounts = CgroupMounts::read(root.path());
        assert!(mounts.place("0::/../b.service\n", "cpu").unwrap().is_hidden());
        let place = mounts.place("0::/a.service\n", "cpu").unwrap();
        assert!(!place.is_hidden() && !place.is_top());
        assert_eq!(place.folder(), root.path().join("sys/fs/cgroup/a.service"));
        assert!(mounts.place("0::/\n", "cpu").unwrap().is_top());
    }
}
