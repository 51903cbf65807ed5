//! A farm full of jobs, to look at its pages: `cargo run -p farm-web --example showcase`. Nothing is really built. Whoever looks is
//! an administrator; at port 8766 nobody is known.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "nobody depends on it")]

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../tests/web/farm.rs"]
mod farm;

use std::time::Duration;

use farm::{Farm, artifact, failed_build, failure, gzip};
use farm_api::{access::NewToken, error::Reason, hub::Finish};
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
    // Failed on one, with a long log.
    farm.job(&["nginx-1.27.2-1.src.rpm"]).await;
    succeed(&farm, &mut builders[0], "nginx-1.27.2-1").await;
    let key = builders[1].claim();
    let log: String = (1..4000)
        .map(|n| format!("libtool: compile:  gcc -DHAVE_CONFIG_H -I. -O2 -g -c part{n}.c -o part{n}.o\n"))
        .collect();
    let packed = gzip(format!("{log}{}\n", LINES.join("\n")).as_bytes());
    builders[1].log(&key, 0, log.as_bytes());
    let log = artifact(ArtifactKind::Log, "build.log", farm.blob(&packed).await, packed.len());
    builders[1].finish(&key, &Finish { artifacts: vec![log], ..failed_build(&LINES) });
    // Rejected.
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
    let strange = Config {
        local_user: None,
        http: HttpConfig::new("127.0.0.1:8766".parse().unwrap()),
        ..(*farm.app.config).clone()
    };
    let (app, listener) = (App::open(strange, CancellationToken::new()).unwrap(), "127.0.0.1:8766".parse().unwrap());
    let listener = Listener::bind(&HttpConfig::new(listener)).await.unwrap();
    tokio::spawn(serve(listener, farm_web::router(app), CancellationToken::new()));
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
    builder.succeed(&key, artifacts);
}
