//! A real browser without a window, spoken to in its own protocol.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use farm_testing::{DEADLINE, eventually};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

/// What it is called on Debian, Fedora and elsewhere.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "chromium-headless", "google-chrome"];

const OPTIONS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser with one page. Dropping it ends it.
pub struct Chrome {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    calls: u64,
    _process: Child,
    _profile: tempfile::TempDir,
}

impl Chrome {
    /// Starts a browser whose pages run their scripts, or do not.
    pub async fn start(scripts: bool) -> Self {
        Self::start_with(scripts, |_, _| {}).await
    }

    /// The same, with more options or environment, or something in the folder of its profile.
    pub async fn start_with(scripts: bool, more: impl FnOnce(&mut Command, &Path)) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        more(&mut command, profile.path());
        let mut process = command
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    return address.to_owned();
                }
            }
            panic!("the browser ended at once")
        };
        let address = tokio::time::timeout(DEADLINE, address).await.expect("the browser does not start");
        // It must not stop because nobody reads what it complains about.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        let mut chrome = Self { socket, session: String::new(), calls: 0, _process: process, _profile: profile };
        let target = chrome.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chrome.call("Target.attachToTarget", attach).await;
        session["sessionId"].as_str().unwrap().clone_into(&mut chrome.session);
        chrome.call("Emulation.setScriptExecutionDisabled", json!({ "value": !scripts })).await;
        chrome
    }

    /// Makes the page as wide as a phone.
    pub async fn narrow(&mut self) {
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        self.call("Emulation.setDeviceMetricsOverride", phone).await;
    }

    /// Goes to a page and waits until it is there.
    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.wait_for("document.readyState === 'complete' && !!document.querySelector('main')").await;
    }

    /// Waits until the page is as a condition in JavaScript says.
    pub async fn wait_for(&mut self, condition: &str) {
        eventually(condition, DEADLINE, async || (self.evaluate(condition).await == true).then_some(())).await;
    }

    /// What an expression in JavaScript is on the page.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true })).await;
        answer["result"]["value"].clone()
    }

    /// What a person reads on the page.
    pub async fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(call.to_string())).await.unwrap();
        let answer = async {
            while let Some(message) = self.socket.next().await {
                let Message::Text(text) = message.unwrap() else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] == self.calls {
                    assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                    return message["result"].clone();
                }
            }
            panic!("the browser went away")
        };
        tokio::time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| panic!("{method} is not answered"))
    }
}

fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders)
        .flat_map(|folder| PROGRAMS.map(|program| folder.join(program)))
        .filter(|path| path.exists());
    found.next().unwrap_or_else(|| {
        panic!("no browser: none of {} is there; install one with `make setup`", PROGRAMS.join(", "))
    })
}
