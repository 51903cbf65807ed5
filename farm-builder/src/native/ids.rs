//! Which ids of the host a namespace gets: a range that the administrator has set aside for this user in `/etc/subuid` and
//! `/etc/subgid`.

use std::path::Path;

use nix::unistd::{User, getegid, geteuid};

/// As many as a chroot has ids: 0 to 65535.
const COUNT: u32 = 65_536;

/// How ids of the namespace map to ids of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// Options of unshare.
    pub options: Vec<String>,
    /// The host's ids of the namespace's root.
    pub root: (u32, u32),
}

/// No usable range of ids.
#[derive(Debug, thiserror::Error)]
#[error(
    "no range of {COUNT} ids is set aside for user {user} in {file}, so no chroot can be made; add one, for example: \
     echo {user}:524288:{COUNT} >> {file}"
)]
pub struct NoIds {
    user: String,
    file: &'static str,
}

impl IdMap {
    /// The map for the user that this process runs as. Root of the host is never part of it: when the builder runs as root, all
    /// ids of the namespace come from the range; else root of the namespace is the builder's own user.
    pub fn of_this_user() -> Result<Self, NoIds> {
        let (uid, gid) = (geteuid(), getegid());
        let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        let range = |file: &'static str| {
            let text = fs_err::read_to_string(Path::new(file)).unwrap_or_default();
            range_of(&text, &[&user, &uid.to_string()]).ok_or_else(|| NoIds { user: user.clone(), file })
        };
        let (uids, gids) = (range("/etc/subuid")?, range("/etc/subgid")?);
        Ok(Self::new(uid.is_root(), (uid.as_raw(), gid.as_raw()), uids, gids))
    }

    fn new(is_root: bool, own: (u32, u32), uids: u32, gids: u32) -> Self {
        let (mut options, root, inner) = if is_root {
            (vec!["--setuid=0".to_owned(), "--setgid=0".to_owned()], (uids, gids), 0)
        } else {
            (vec!["--map-root-user".to_owned()], own, 1)
        };
        let count = COUNT - inner;
        options.push(format!("--map-users={uids},{inner},{count}"));
        options.push(format!("--map-groups={gids},{inner},{count}"));
        Self { options, root }
    }
}

/// The start of the first range that is large enough.
fn range_of(text: &str, names: &[&str]) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, start, count) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse::<u32>().ok()?);
        (names.contains(&name) && count >= COUNT).then_some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_large_enough_range_of_the_user_is_taken() {
        let text = "alice:100000:65536\nroot:1:10\n0:200000:65536\nroot:524288:65536\n";
        assert_eq!(range_of(text, &["root", "0"]), Some(200_000));
        assert_eq!(range_of(text, &["bob", "1001"]), None);
        assert_eq!(range_of("garbage\nroot:x:y\n", &["root"]), None);
    }

    #[test]
    fn root_of_the_host_is_in_no_map() {
        let map = IdMap::new(true, (0, 0), 524_288, 600_000);
        assert_eq!(map.root, (524_288, 600_000));
        assert!(map.options.contains(&"--map-users=524288,0,65536".to_owned()), "{map:?}");
        let map = IdMap::new(false, (1000, 1000), 524_288, 600_000);
        assert!(map.options.contains(&"--map-groups=600000,1,65535".to_owned()), "{map:?}");
    }
}
