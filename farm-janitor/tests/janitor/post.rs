//! A small server that takes mail, and can be told to misbehave.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the server does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it and says so.
    Takes,
    /// Takes it and never says so.
    Keeps,
    /// Cannot take it now.
    Refuses,
}

/// The server, as long as it lives.
pub struct Post {
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    messages: watch::Receiver<Vec<String>>,
}

impl Post {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let manner = Arc::new(Mutex::new(Manner::Takes));
        let (sender, messages) = watch::channel(Vec::new());
        let (taken, how) = (Arc::new(sender), Arc::clone(&manner));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&taken), Arc::clone(&how)));
            }
        });
        Self { port, manner, messages }
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// All messages that came.
    pub fn messages(&self) -> Vec<String> {
        self.messages.borrow().clone()
    }

    /// Waits until so many have come.
    pub async fn got(&self, count: usize) {
        self.messages.clone().wait_for(|messages| messages.len() >= count).await.unwrap();
    }
}

async fn serve(stream: TcpStream, taken: Arc<watch::Sender<Vec<String>>>, manner: Arc<Mutex<Manner>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 post\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250 post\r\n",
            "QUIT" => return,
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                let mut message = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    message += &line;
                    message.push('\n');
                }
                let how = *manner.lock().unwrap();
                if how != Manner::Refuses {
                    taken.send_modify(|messages| messages.push(message));
                }
                match how {
                    Manner::Takes => "250 taken\r\n",
                    Manner::Refuses => "451 the disk is full\r\n",
                    Manner::Keeps => std::future::pending().await,
                }
            }
            _ => "250 yes\r\n",
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
