//! A way to the hub that gets stuck.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes everything on, until a caller sends a request that begins like this: nothing passes on that connection any more, and it
/// stays open.
pub struct StuckWay {
    pub address: SocketAddr,
    stuck: watch::Receiver<bool>,
}

impl StuckWay {
    pub async fn to(hub: &str, request: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = hub.to_owned();
        let (is_stuck, stuck) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (hub, is_stuck) = (hub.clone(), is_stuck.clone());
                tokio::spawn(async move { pass(caller, &hub, request, &is_stuck).await });
            }
        });
        Self { address, stuck }
    }

    /// Waits until it is stuck.
    pub async fn until_stuck(&self) {
        self.stuck.clone().wait_for(|stuck| *stuck).await.unwrap();
    }
}

async fn pass(mut caller: TcpStream, hub: &str, request: &str, is_stuck: &watch::Sender<bool>) -> std::io::Result<()> {
    let mut hub = TcpStream::connect(hub).await?;
    let (mut from_caller, mut from_hub) = ([0; 64 << 10], [0; 64 << 10]);
    loop {
        tokio::select! {
            read = caller.read(&mut from_caller) => match &from_caller[..read?] {
                [] => return Ok(()),
                bytes if bytes.starts_with(request.as_bytes()) => {
                    is_stuck.send_replace(true);
                    return std::future::pending().await;
                }
                bytes => hub.write_all(bytes).await?,
            },
            read = hub.read(&mut from_hub) => match read? {
                0 => return Ok(()),
                read => caller.write_all(&from_hub[..read]).await?,
            },
        }
    }
}
