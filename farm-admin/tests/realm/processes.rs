//! Every process comes to the database with its own ticket, or not at all.

use farm_testing::{DEADLINE, eventually_blocking};

use crate::site::{DAEMONS, Site};

#[test]
fn every_process_logs_in_with_its_own_keytab_and_says_who_it_is() {
    let site = Site::new();
    for name in DAEMONS {
        let process = site.daemon(name).start();
        process.wait_for_log(&format!("the database knows this process as farm_{name} ({name}/host1@FARM.TEST)"));
        let principals = eventually_blocking("its connection", DEADLINE, || {
            let connections = site.connections(&format!("farm_{name}"));
            Some(connections).filter(|connections| !connections.is_empty())
        });
        for (principal, _) in principals {
            assert_eq!(principal, format!("{name}/host1@FARM.TEST"));
        }
    }
}

#[test]
fn a_process_with_the_keytab_of_another_is_refused_at_its_start_with_the_reason() {
    let site = Site::new();
    for (name, other) in DAEMONS.iter().zip(DAEMONS.iter().cycle().skip(1)) {
        let (code, said) = site.daemon(name).principal(&format!("{other}/host1")).fail();
        assert_eq!(code, Some(1), "{name} as {other}: {said}");
        let reason = format!("GSSAPI authentication failed for user \"farm_{name}\"; see pg_ident.conf");
        for words in ["the database does not let this process in: ", &reason] {
            assert!(said.contains(words), "{name} as {other}: {said}");
        }
    }
}

#[test]
fn a_process_that_comes_as_the_wrong_role_is_told_the_right_one() {
    let site = Site::new();
    let (code, said) = site.daemon("web").principal("twofold/host1").role("farm_hub").fail();
    assert_eq!(code, Some(1), "{said}");
    for words in ["as the role farm_hub, and has to be farm_web", "put user=farm_web", "twofold/host1@FARM.TEST"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_keytab_that_is_missing_or_not_ours_alone_is_found_before_the_start() {
    let site = Site::new();
    let daemon = site.daemon("janitor");
    let config = daemon.config_with(&site.dir.path().join("nowhere.keytab"));
    let (code, said) = daemon.fail_with(&config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the client keytab") && said.contains("nowhere.keytab cannot be read"), "{said}");
}

#[test]
fn a_keytab_with_an_old_key_or_of_a_disabled_principal_is_told_at_the_start() {
    let site = Site::new();
    for principal in ["janitor/old", "janitor/disabled"] {
        site.realm.add_service(principal);
    }
    site.realm.outdate("janitor/old");
    site.realm.disable("janitor/disabled");
    for (principal, words) in [("janitor/old", "make the keytab anew"), ("janitor/disabled", "the KDC has disabled")] {
        let (code, said) = site.daemon("janitor").principal(principal).fail();
        assert_eq!(code, Some(1), "{principal}: {said}");
        assert!(
            said.contains("the database does not let this process in") && said.contains(words),
            "{principal}: {said}"
        );
    }
}
