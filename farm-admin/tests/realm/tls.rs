//! The whole login over HTTPS.

use std::os::unix::fs::PermissionsExt as _;

use farm_testing::Spec;

use crate::{
    curl::{BY_TICKET, curl},
    site::{Site, printed},
};

#[test]
fn people_and_curl_log_in_over_https() {
    let site = Site::new();
    let dir = site.dir.path().display();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (site.dir.path().join("web.pem"), site.dir.path().join("web.key"));
    fs_err::write(&certificate, made.cert.pem()).unwrap();
    fs_err::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let tls = format!("[http.tls]\ncertificate = \"{dir}/web.pem\"\nkey = \"{dir}/web.key\"\n");
    let web = site.daemon("web").tables(&tls).start();
    let server = format!("https://localhost:{}/", web.address().rsplit(':').next().unwrap());
    let alice = site.person("alice");

    let url = format!("{server}api/v1/whoami");
    let ca = certificate.display().to_string();
    let answer = curl(&alice, &[&BY_TICKET[..], &["--cacert", &ca, &url]].concat());
    assert_eq!(answer.json()["principal"], "alice@FARM.TEST", "{answer:?}");
    assert!(answer.header("www-authenticate").starts_with("Negotiate o"), "no proof: {answer:?}");

    // A server that nobody vouches for is not spoken to.
    let package = Spec::named("encrypted").srpm().display().to_string();
    let submit = || site.tool("farm-submit", &alice, &server, &[&package, "--no-wait"]);
    let stranger = submit();
    assert_eq!(stranger.status.code(), Some(4), "{stranger:?}");
    fs_err::create_dir(site.dir.path().join("farm")).unwrap();
    fs_err::write(site.dir.path().join("farm/config.toml"), format!("ca_file = \"{ca}\"\n")).unwrap();
    let said = printed(&submit());
    assert!(said.starts_with("Job 1: https://localhost:"), "{said}");
    let submitted = site.audit().into_iter().find(|entry| entry.action == "submit").unwrap();
    assert_eq!((submitted.actor.as_str(), submitted.way.as_str()), ("alice@FARM.TEST", "ticket"));
}
