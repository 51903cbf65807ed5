//! A farm full of jobs, to look at its pages: `cargo run -p farm-web --example showcase`. Nothing is really built. Whoever looks is
//! an administrator; at port 8766 nobody is known.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "nobody depends on it")]

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../tests/web/farm.rs"]
mod farm;

use std::time::Duration;

use farm::{Farm, artifact, failed_build, failure, gzip, record};
use farm_api::{access::NewToken, error::Reason, hub::Finish, record::StageMark};
use farm_daemon::{
    CancellationToken,
    http::{HttpConfig, Listener, serve},
};
use farm_db::{intake::Decision, operator, testing};
use farm_types::{ArtifactKind, Cause, Outcome, Scope, Stage};
use farm_web::{App, Config};

const LINES: [&str; 5] = [
    "In file included from src/net/socket.c:31:",
    "src/net/tls.h:212:38: error: unknown type name ‘SSL_QUIC_METHOD’; did you mean ‘SSL_METHOD’?",
    "  212 | int tls_set_quic_method(SSL *ssl, const SSL_QUIC_METHOD *method);",
    "      |                                         ^~~~~~~~~~~~~~~",
    "make[2]: *** [Makefile:4123: src/net/socket.o] Error 1",
];

const PACKAGES: [&str; 9] = [
    "bash-5.2.37-1.f13.x86_64",
    "binutils-2.43-4.f13.x86_64",
    "gcc-14.2.1-3.f13.x86_64",
    "glibc-devel-2.40-11.f13.x86_64",
    "make-4.4.1-7.f13.x86_64",
    "openssl-devel-3.2.2-9.f13.x86_64",
    "perl-interpreter-5.40.0-509.f13.x86_64",
    "redhat-rpm-config-293-1.f13.noarch",
    "zlib-ng-compat-devel-2.1.7-3.f13.x86_64",
];

const LATER: [&str; 9] = [
    "bash-5.2.37-1.f13.x86_64",
    "binutils-2.43-5.f13.x86_64",
    "gcc-14.2.1-6.f13.x86_64",
    "glibc-devel-2.40-11.f13.x86_64",
    "make-4.4.1-7.f13.x86_64",
    "openssl-devel-3.5.0-1.f13.x86_64",
    "perl-interpreter-5.40.0-509.f13.x86_64",
    "python3-3.13.0-1.f13.x86_64",
    "redhat-rpm-config-293-1.f13.noarch",
];

#[tokio::main]
async fn main() {
    let farm = Farm::with(|config| config.http.listen = "127.0.0.1:8765".parse().unwrap());
    let everything = "admin".parse().unwrap();
    operator::set_grant(&mut farm.connect(), &testing::operator(), &everything, "alice", true).unwrap();
    let token = NewToken { name: "nightly".to_owned(), scopes: vec![Scope::Read, Scope::Submit], days: None };
    farm.post("/api/v1/tokens", &token).await;
    let mut builders = [farm.builder("builder-01"), farm.builder("builder-02"), farm.builder("arm-lab")];

    // Succeeded on both.
    for name in ["zlib-1.3.1-4.src.rpm", "hello-2.12.1-3.src.rpm"] {
        farm.job(&[name]).await;
        for builder in &mut builders[..2] {
            succeed(&farm, builder, name.trim_end_matches(".src.rpm")).await;
        }
    }
    one_fails(&farm, &mut builders).await;
    one_is_rejected(&farm).await;
    // A hostile name, cancelled.
    let job = farm.job(&["a \"quoted\" <script>alert(1)</script>\n%{name}-1.0-1.src.rpm"]).await;
    farm.post(&format!("/api/v1/jobs/{job}/cancel"), &()).await;
    // Retried after a fault of the farm, running, queued, submitted.
    farm.job(&["linux-firmware-20261101-1.src.rpm"]).await;
    let key = builders[0].claim();
    builders[0].log(&key, 0, b"fetching sources\nmaking the chroot\n");
    builders[0].finish(
        &key,
        &Finish {
            outcome: Outcome::FarmFault,
            cause: Some(Cause::Chroot),
            stage: Some(Stage::Chroot),
            message: "the mirror https://mirror.example/fedora did not answer for 60 seconds".to_owned(),
            ..failure()
        },
    );
    farm.job(&["gcc-15.2.1-3.src.rpm", "annobin-12.99-1.src.rpm", "libtool-2.5.4-2.src.rpm"]).await;
    let key = builders[1].claim();
    builders[1].stage(&key, Stage::Dependencies);
    let running = builders[0].claim();
    builders[0].stage(&running, Stage::Build);
    farm.job(&["python3.14-3.14.0-2.src.rpm"]).await;
    farm.submit(&["curl-8.17.0-1.src.rpm"]).await;
    println!("{}", farm.serve().await);
    serve_strangers(&farm).await;
    let mut at = 0;
    for n in 1.. {
        let line =
            format!("[{n:5}] gcc -O2 -Wall -Wextra -fstack-protector-strong -c src/module_{n}.c -o module_{n}.o\n");
        at = builders[0].log(&running, at, line.as_bytes());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn succeed(farm: &Farm, builder: &mut farm::Builder, nvr: &str) {
    let key = builder.claim();
    let mut artifacts = Vec::new();
    for (suffix, size) in [("", 2_345_678), ("-devel", 456_789)] {
        let (name, release) = nvr.split_once('-').unwrap();
        let name = format!("{name}{suffix}-{release}.x86_64.rpm");
        artifacts.push(artifact(ArtifactKind::Rpm, &name, farm.blob(&vec![0; size]).await, size));
    }
    let text = b"+ make\n+ make install\nWrote: everything\n";
    let packed = gzip(text);
    builder.log(&key, 0, text);
    artifacts.push(artifact(ArtifactKind::Log, "build.log", farm.blob(&packed).await, packed.len()));
    artifacts.push(record(farm, &PACKAGES).await);
    builder.succeed(&key, artifacts);
}

/// A log with a line where each stage begins, and where these are.
fn marked(log: &str) -> (String, Vec<StageMark>) {
    let (mut whole, mut marks) = (String::new(), Vec::new());
    for (n, stage) in Stage::ALL[1..7].iter().enumerate() {
        let line = u64::try_from(whole.lines().count() + 1).unwrap();
        marks.push(StageMark { stage: *stage, source: None, offset: whole.len() as u64, line });
        whole.push_str(&format!("[farm] === {stage} === {n}.3 s\n"));
        let lines = if *stage == Stage::Install { usize::MAX } else { 500 * n };
        whole.extend(log.lines().skip(500 * n).take(lines).map(|line| format!("{line}\n")));
    }
    (whole, marks)
}

async fn one_fails(farm: &Farm, builders: &mut [farm::Builder; 3]) {
    // It succeeded before, and now failed on one, with a long log.
    for release in ["1.27.1-1", "1.27.2-1"] {
        farm.job(&[&format!("nginx-{release}.src.rpm")]).await;
        succeed(farm, &mut builders[0], &format!("nginx-{release}")).await;
        if release == "1.27.1-1" {
            succeed(farm, &mut builders[1], &format!("nginx-{release}")).await;
        }
    }
    let key = builders[1].claim();
    let log: String = (1..4000)
        .map(|n| format!("libtool: compile:  gcc -DHAVE_CONFIG_H -I. -O2 -g -c part{n}.c -o part{n}.o\n"))
        .collect();
    let (log, marks) = marked(&log);
    let packed = gzip(format!("{log}{}\n", LINES.join("\n")).as_bytes());
    builders[1].log(&key, 0, log.as_bytes());
    let log = artifact(ArtifactKind::Log, "build.log", farm.blob(&packed).await, packed.len());
    let artifacts = vec![log, record(farm, &LATER).await];
    builders[1].finish(&key, &Finish { artifacts, marks, ..failed_build(&LINES) });
}

async fn one_is_rejected(farm: &Farm) {
    farm.submit(&["broken-1.0-1.src.rpm", "second-2.0-1.src.rpm"]).await;
    farm.decide(|_| {
        let reason =
            |code: &str, source, message: &str| Reason { code: code.to_owned(), source, message: message.to_owned() };
        Decision::Reject(vec![
            reason(
                "payload_digest",
                Some(1),
                "the payload is damaged: its SHA-256 is not the one that the header names; build the package again",
            ),
            reason("unknown_target", None, "unknown target “f99”; known are: f13-x86_64, f14-x86_64"),
        ])
    });
}

/// The same pages for somebody whom nobody knows.
async fn serve_strangers(farm: &Farm) {
    let strange = Config {
        local_user: None,
        http: HttpConfig::new("127.0.0.1:8766".parse().unwrap()),
        ..(*farm.app.config).clone()
    };
    let (app, listener) = (App::open(strange, CancellationToken::new()).unwrap(), "127.0.0.1:8766".parse().unwrap());
    let listener = Listener::bind(&HttpConfig::new(listener)).await.unwrap();
    tokio::spawn(serve(listener, farm_web::router(app), CancellationToken::new()));
}
