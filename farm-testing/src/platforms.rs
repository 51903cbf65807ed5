//! The platforms that tests build on.

use std::path::PathBuf;

/// The recipe of a mini distribution, `mini12` or `mini13`, which `make platforms` makes: below the folder that
/// `FARM_PLATFORMS` names, else where root's or this user's are kept.
pub fn platform(release: &str) -> PathBuf {
    let folders =
        match (std::env::var_os("FARM_PLATFORMS"), std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
            (Some(folder), ..) => vec![PathBuf::from(folder)],
            (None, Some(cache), _) => {
                vec!["/var/cache/farm/platforms".into(), PathBuf::from(cache).join("farm/platforms")]
            }
            (None, None, home) => {
                let home = PathBuf::from(home.unwrap_or_default());
                vec!["/var/cache/farm/platforms".into(), home.join(".cache/farm/platforms")]
            }
        };
    let recipes = folders.iter().map(|folder| folder.join(release).join("platform.toml"));
    recipes
        .into_iter()
        .find(|recipe| recipe.is_file())
        .unwrap_or_else(|| panic!("there is no platform {release} in {folders:?}: make it with `make platforms`"))
}
