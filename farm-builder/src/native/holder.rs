//! The helper that stays as long as a build, as its cell sees it; see `sandbox/hold.rs`.

use std::io;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::Child,
};

use super::{
    helper::{Helpers, child_of},
    spare::{Pair, Spare, Started},
};
use crate::sandbox::{Answer, Bounds, Errand, Order};

/// A helper that stays.
pub struct Held {
    /// It.
    pub holder: Child,
    /// The line to it.
    pub line: Line,
    /// The process whose namespaces can be entered.
    pub inner: u32,
    /// A helper that is in them already.
    pub first: Option<Started>,
}

/// Starts a helper that stays.
pub async fn hold(helpers: &Helpers, order: Order) -> io::Result<Held> {
    let errand = Errand { order, bounds: Bounds::default() };
    let Pair { outer: (mut holder, mut socket), inner: first } = Spare::take(helpers).await?;
    let begun = async {
        helpers.greet(&mut holder, &mut socket, &errand, None).await?;
        let inner = child_of(holder.id())?;
        let mut line = Line::new(socket);
        match line.next().await? {
            Answer::Done => Ok((line, inner)),
            Answer::Broken(why) => Err(io::Error::other(why)),
            other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
        }
    };
    match begun.await {
        Ok((line, inner)) => Ok(Held { holder, line, inner, first }),
        Err(error) => {
            let mut said = String::new();
            let _ = holder.kill().await;
            if let Some(mut log) = holder.stderr.take() {
                let _ = log.read_to_string(&mut said).await;
            }
            Err(io::Error::other(format!("{error} {said}").trim().to_owned()))
        }
    }
}

/// The line to a holder. A question whose answer nobody waited for is answered all the same, before the next one.
#[derive(Debug)]
pub struct Line {
    socket: BufReader<UnixStream>,
    /// Questions without an answer.
    open: u32,
    /// The beginning of an answer.
    begun: Vec<u8>,
}

impl Line {
    fn new(socket: UnixStream) -> Self {
        Self { socket: BufReader::new(socket), open: 0, begun: Vec::new() }
    }

    /// Asks how much is written.
    pub async fn ask(&mut self) -> io::Result<Answer> {
        self.socket.write_all(b"\n").await?;
        self.open += 1;
        loop {
            let answer = self.next().await?;
            self.open -= 1;
            if self.open == 0 {
                return Ok(answer);
            }
        }
    }

    /// The next answer. When it is dropped before its time, what has come already is kept.
    async fn next(&mut self) -> io::Result<Answer> {
        self.socket.read_until(b'\n', &mut self.begun).await?;
        if self.begun.is_empty() {
            return Err(io::Error::other("the holder of the build's namespaces is gone"));
        }
        let line = std::mem::take(&mut self.begun);
        Ok(serde_json::from_slice(&line)?)
    }
}
