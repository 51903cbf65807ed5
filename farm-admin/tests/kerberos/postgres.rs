//! The samples for PostgreSQL, on a real server: who gets in as whom.

use std::{path::Path, process::Command, sync::Arc};

use farm_testing::{Cluster, Realm, TestDb};
use tempfile::TempDir;

use crate::{
    principals::{FARM, script},
    support::{deploy, run, said},
};

/// Everything in one place: a realm, its keytabs, and a server set up by the samples.
struct Site {
    realm: Realm,
    keytabs: TempDir,
    cluster: Arc<Cluster>,
    db: TestDb,
}

impl Site {
    fn new() -> Self {
        let (realm, keytabs) = (Realm::start(), tempfile::tempdir().unwrap());
        // Makes postgres/localhost, whose key the script then finds.
        let cluster = Cluster::with_realm(&realm, &[]);
        run(&mut script(&realm, keytabs.path(), &FARM));
        let db = cluster.database();
        let site = Self { realm, keytabs, cluster, db };
        site.set_up();
        site
    }

    /// Replaces what the server has by the samples and by the keytab of the script. The harness keeps its own way in.
    fn set_up(&self) {
        let sample = |name: &str| {
            let text = fs_err::read_to_string(deploy(&format!("kerberos/{name}.sample"))).unwrap();
            text.replace(r"EXAMPLE\.ORG", r"FARM\.TEST").replace("EXAMPLE.ORG", "FARM.TEST")
        };
        let dir = self.cluster.dir();
        let name = self.db.name();
        let hba = sample("pg_hba.conf").replace("  farm  ", &format!("  {name}  "));
        assert_eq!(hba.matches(&format!("  {name}  ")).count(), 5, "{hba}");
        fs_err::write(dir.join("pg_hba.conf"), format!("local all postgres trust\n{hba}")).unwrap();
        fs_err::write(dir.join("pg_ident.conf"), sample("pg_ident.conf")).unwrap();
        let keytab = self.keytab("localhost/postgres.keytab");
        fs_err::write(dir.join("postgres.keytab"), fs_err::read(keytab).unwrap()).unwrap();
        let errors = "SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL
            UNION ALL SELECT error FROM pg_ident_file_mappings WHERE error IS NOT NULL";
        let statements = ["CREATE ROLE farm_operator LOGIN IN ROLE farm_owner", "SELECT pg_reload_conf()", errors];
        let said = statements.map(|sql| run(Command::new("psql").args(["-XAtqc", sql, "-d", &self.db.url()])));
        assert_eq!(said.concat(), "t\n");
    }

    fn keytab(&self, name: &str) -> std::path::PathBuf {
        self.keytabs.path().join(name)
    }

    /// Asks the database something as the owner of a keytab.
    fn ask(&self, keytab: &Path, conninfo: &str, sql: &str) -> Result<String, String> {
        let output = self.as_owner("psql", keytab).args(["-XAtc", sql, "-d", conninfo]).output().unwrap();
        if output.status.success() { Ok(said(&output).trim().to_owned()) } else { Err(said(&output)) }
    }

    /// A program that logs in with a keytab.
    fn as_owner(&self, program: &str, keytab: &Path) -> Command {
        let mut command = Command::new(program);
        let cache = ("KRB5CCNAME".to_owned(), "MEMORY:test".to_owned());
        command.envs(self.realm.env()).envs([Realm::client_keytab(keytab), cache]);
        command
    }
}

const WHO: &str = "SELECT session_user || '|' || farm.process() || '|' || (SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid())";

const PROCESSES: [(&str, &str, &str); 5] = [
    ("farm.farm.test/farm-web.keytab", "farm_web", "web/farm.farm.test@FARM.TEST"),
    ("hub.farm.test/farm-hub.keytab", "farm_hub", "hub/hub.farm.test@FARM.TEST"),
    ("hub.farm.test/farm-validator.keytab", "farm_validator", "validator/hub.farm.test@FARM.TEST"),
    ("hub.farm.test/farm-janitor.keytab", "farm_janitor", "janitor/hub.farm.test@FARM.TEST"),
    ("farm.farm.test/farm-publisher.keytab", "farm_publisher", "publisher/farm.farm.test@FARM.TEST"),
];
/// Who has a principal, and no business in the database.
const STRANGERS: [&str; 3] =
    ["b1.farm.test/farm-builder.keytab", "farm.farm.test/http.keytab", "localhost/postgres.keytab"];
const ROLES: [&str; 9] = [
    "farm_web",
    "farm_hub",
    "farm_validator",
    "farm_janitor",
    "farm_publisher",
    "farm_readonly",
    "farm_operator",
    "farm_owner",
    "postgres",
];

#[test]
fn each_process_comes_in_as_its_role_and_nobody_as_anything_else() {
    let site = Site::new();
    for (keytab, own, principal) in PROCESSES {
        for role in ROLES {
            let answer = site.ask(&site.keytab(keytab), &site.db.gss_conninfo(role), WHO);
            if role == own {
                assert_eq!(answer, Ok(format!("{own}|{principal}|false")));
            } else {
                assert!(answer.is_err(), "{principal} came in as {role}: {answer:?}");
            }
        }
    }
    for keytab in STRANGERS {
        for role in ROLES {
            let answer = site.ask(&site.keytab(keytab), &site.db.gss_conninfo(role), WHO);
            assert!(answer.is_err(), "{keytab} came in as {role}: {answer:?}");
        }
    }
}

#[test]
fn over_the_network_kerberos_encrypts_and_lookalikes_stay_outside() {
    let site = Site::new();
    let encrypted = |role| site.db.gss_conninfo(role).replace("gssencmode=disable", "gssencmode=require");
    for (keytab, own, principal) in PROCESSES {
        assert_eq!(site.ask(&site.keytab(keytab), &encrypted(own), WHO), Ok(format!("{own}|{principal}|true")));
    }
    for lookalike in ["web/farm.farm.test/more", "awebb/host", "web", "web/FARM", "bob"] {
        let keytab = site.realm.add_service(lookalike);
        let answer = site.ask(&keytab, &encrypted("farm_web"), WHO);
        assert!(answer.is_err(), "{lookalike}: {answer:?}");
    }
}

#[test]
fn operators_do_what_the_owner_does_and_dashboards_look() {
    let site = Site::new();
    let encrypted = |role| site.db.gss_conninfo(role).replace("gssencmode=disable", "gssencmode=require");
    let (alice, grafana) =
        (site.realm.add_service("alice/admin"), site.realm.add_service("dashboard/graphs.farm.test"));
    let change = "UPDATE farm.limits SET sources = 7 RETURNING sources";
    assert!(site.ask(&alice, &encrypted("farm_operator"), change).unwrap().starts_with('7'));
    let admin = |args: &[&str]| {
        let mut admin = site.as_owner(env!("CARGO_BIN_EXE_farm-admin"), &alice);
        run(admin.args(["--database", &encrypted("farm_operator")]).args(args))
    };
    admin(&["builder", "add", "b1"]);
    assert!(admin(&["builder", "list"]).contains("b1"));
    let written = site.ask(&alice, &encrypted("farm_operator"), "SELECT DISTINCT process FROM farm.audit");
    assert_eq!(written, Ok("alice/admin@FARM.TEST".to_owned()));
    assert!(site.ask(&alice, &encrypted("farm_owner"), "SELECT 1").is_err());
    assert!(site.ask(&site.realm.add_service("alice"), &encrypted("farm_operator"), "SELECT 1").is_err());
    assert_eq!(site.ask(&grafana, &encrypted("farm_readonly"), "SELECT count(*) FROM farm.job"), Ok("0".to_owned()));
    assert!(site.ask(&grafana, &encrypted("farm_readonly"), change).is_err());
}

#[test]
fn without_a_ticket_and_to_other_databases_there_is_no_way() {
    let site = Site::new();
    let nothing = site.keytabs.path().join("nothing");
    for role in ROLES {
        assert!(site.ask(&nothing, &site.db.gss_conninfo(role), "SELECT 1").is_err(), "{role}");
    }
    let other = site.cluster.empty_database();
    let web = site.keytab("farm.farm.test/farm-web.keytab");
    assert!(site.ask(&web, &other.gss_conninfo("farm_web"), "SELECT 1").unwrap_err().contains("no pg_hba.conf entry"));
}
