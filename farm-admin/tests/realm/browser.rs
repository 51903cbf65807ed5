//! A browser that logs in by ticket.

use crate::{
    chrome::Chrome,
    site::{Site, localhost},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_by_ticket_makes_a_token_and_logs_out() {
    let site = Site::new();
    let web = site.web();
    let alice = site.person("alice");
    let mut chrome = Chrome::start_with(true, |command, profile| {
        command.envs(alice.iter().cloned()).arg("--auth-server-allowlist=localhost");
        // On a machine of its own a browser loads Kerberos only when it has met a server that takes tickets.
        let met = r#"{"net":{"received_http_auth_negotiate_headers":true}}"#;
        fs_err::write(profile.join("Local State"), met).unwrap();
    })
    .await;

    chrome.open(&localhost(&web, "/login?next=/account")).await;
    chrome.wait_for("location.pathname === '/account'").await;
    let text = chrome.text().await;
    assert!(text.contains("alice@FARM.TEST") && text.contains("known by: session"), "{text}");

    chrome.evaluate("document.querySelector('[name=name]').value = 'nightly'").await;
    chrome.evaluate("document.querySelector('form.fields button').click()").await;
    chrome.wait_for("!!document.querySelector('.made code')").await;
    let token = chrome.evaluate("document.querySelector('.made code').textContent").await;
    let header = format!("Authorization: Bearer {}", token.as_str().unwrap());
    let answer = crate::curl::with_header(&header, &localhost(&web, "/api/v1/whoami"));
    assert_eq!(answer.json()["principal"], "alice@FARM.TEST", "{answer:?}");
    assert_eq!(answer.json()["way"], "token");

    chrome.open(&localhost(&web, "/account")).await;
    let session = chrome.evaluate("document.cookie").await;
    assert_eq!(session, "", "a script can read the session");
    chrome.evaluate("document.querySelector('form[action=\"/logout\"] button').click()").await;
    chrome.wait_for("location.pathname === '/'").await;
    chrome.wait_for("!!document.querySelector('.who a[href=\"/login\"]')").await;
    let actions: Vec<String> =
        site.audit().into_iter().map(|entry| format!("{} {}", entry.action, entry.way)).collect();
    assert_eq!(actions, ["become known daemon", "log in ticket", "make token session", "log out session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_ticket_is_told_how_to_get_in() {
    let site = Site::new();
    let web = site.web();
    let mut chrome = Chrome::start(true).await;
    chrome.narrow().await;
    chrome.open(&localhost(&web, "/account")).await;
    let text = chrome.text().await;
    assert!(text.contains("Log in") && text.contains("kinit"), "{text}");
    let width = chrome.evaluate("document.scrollingElement.scrollWidth").await;
    assert!(width.as_u64() <= Some(360), "the page is {width} wide");
}
