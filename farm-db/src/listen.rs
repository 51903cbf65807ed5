//! Notifications, awaited on libpq's own socket: no polling, no thread.
//!
//! A notification is a hint to look again, never data to act on: any role may send on any channel, and what is sent
//! while the connection is down is lost. So: subscribe, then look; and look again after every reconnect.

// Diesel does not show libpq's socket, so this file speaks to libpq itself. Each call is on a connection that only
// this struct holds, and results are read before they are freed.
#![expect(unsafe_code, reason = "libpq is a C library")]

use std::{
    ffi::{CStr, CString},
    os::fd::RawFd,
    ptr::NonNull,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{DbError, Result, conninfo, pool};

/// What the farm tells itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A job was handed in.
    Submitted,
    /// A task can be claimed, or can be soon: [`queue::Ready`](crate::queue::Ready).
    Ready,
    /// A job or one of its tasks changed; the payload is the job's number.
    Job,
    /// A lease was taken away; the payload is the builder's number.
    Orders,
    /// Who is known, or may do what, changed.
    Access,
}

impl Channel {
    const ALL: [Self; 5] = [Self::Submitted, Self::Ready, Self::Job, Self::Orders, Self::Access];

    const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "farm_submitted",
            Self::Ready => "farm_ready",
            Self::Job => "farm_job",
            Self::Orders => "farm_orders",
            Self::Access => "farm_access",
        }
    }
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Where.
    pub channel: Channel,
    /// A hint at what.
    pub payload: String,
}

/// What there is to hear.
#[derive(Debug)]
pub enum Heard {
    /// The connection is there, for the first time or again. Look at the tables: what happened before was told to nobody.
    Connected,
    /// Something happened.
    Told(Notification),
    /// The connection was lost, or cannot be had; the next try is after a pause.
    Lost(DbError),
}

/// Listens until it is dropped: connects, tells what it hears, and connects again with growing pauses whenever the
/// connection is lost. When it has become old, as the connections of a [`Pool`](crate::Pool), the next one is there before it
/// goes, so that there is no moment in which nothing is heard.
pub async fn listen(conninfo: &str, channels: &[Channel], max_age_seconds: u64, mut hear: impl FnMut(Heard)) {
    let max_age = pool::max_age(max_age_seconds);
    let plan = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(15))
        .with_jitter()
        .without_max_times();
    let mut pauses = plan.build();
    loop {
        let error = match Listener::connect(conninfo, channels).await {
            Ok(mut listener) => {
                pauses = plan.build();
                hear(Heard::Connected);
                loop {
                    let next = async {
                        tokio::time::sleep(max_age).await;
                        Listener::connect(conninfo, channels).await
                    };
                    match hear_until(&mut listener, next, &mut hear).await {
                        Ok(next) => {
                            // The old one is dropped after this. What it has not told yet is found by the look that this asks for.
                            hear(Heard::Connected);
                            listener = next;
                        }
                        // Also when the next one cannot be had: the old one must not live on.
                        Err(error) => break error,
                    }
                }
            }
            Err(error) => error,
        };
        hear(Heard::Lost(error));
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Tells what is heard until there is another listener to go on with, or none any more.
async fn hear_until(
    listener: &mut Listener,
    next: impl Future<Output = Result<Listener>>,
    hear: &mut impl FnMut(Heard),
) -> Result<Listener> {
    tokio::pin!(next);
    loop {
        tokio::select! {
            told = listener.next() => hear(Heard::Told(told?)),
            next = &mut next => return next,
        }
    }
}

/// A connection that only listens. On any error drop it, connect anew, and look at the tables again.
pub struct Listener {
    // Dropped in this order: the socket is forgotten before the connection closes it.
    socket: AsyncFd<RawFd>,
    conn: Connection,
}

struct Connection(NonNull<pq_sys::PGconn>);

// SAFETY: libpq lets a connection be used from any thread, one at a time; the struct has no shared access.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the pointer came from PQconnectdb and is freed only here.
        unsafe { pq_sys::PQfinish(self.0.as_ptr()) }
    }
}

impl Connection {
    fn open(conninfo: &str, channels: &[Channel]) -> Result<Self> {
        let conninfo = CString::new(conninfo::patient(conninfo)).map_err(|e| DbError::Unavailable(e.to_string()))?;
        // SAFETY: the argument is a C string that outlives the call.
        let conn = NonNull::new(unsafe { pq_sys::PQconnectdb(conninfo.as_ptr()) })
            .map(Self)
            .ok_or_else(|| DbError::Unavailable("libpq has no memory for a connection".to_owned()))?;
        // SAFETY: the pointer is a live connection, here and below.
        if unsafe { pq_sys::PQstatus(conn.0.as_ptr()) } != pq_sys::ConnStatusType::CONNECTION_OK {
            return Err(conn.error());
        }
        for channel in channels {
            let listen =
                CString::new(format!("LISTEN {}", channel.name())).map_err(|e| DbError::Data(e.to_string()))?;
            // SAFETY: as above; the result is freed at once, also when it is an error.
            let status = unsafe {
                let result = pq_sys::PQexec(conn.0.as_ptr(), listen.as_ptr());
                let status = pq_sys::PQresultStatus(result);
                pq_sys::PQclear(result);
                status
            };
            if status != pq_sys::ExecStatusType::PGRES_COMMAND_OK {
                return Err(conn.error());
            }
        }
        Ok(conn)
    }

    fn error(&self) -> DbError {
        // SAFETY: PQerrorMessage answers a C string that lives as long as the connection is not used again.
        let text = unsafe { CStr::from_ptr(pq_sys::PQerrorMessage(self.0.as_ptr())) };
        DbError::Unavailable(text.to_string_lossy().trim().to_owned())
    }

    fn next(&mut self) -> Option<Notification> {
        loop {
            // SAFETY: PQnotifies answers null or a notification that we own; its strings live until it is freed.
            let (name, payload) = unsafe {
                let notify = NonNull::new(pq_sys::PQnotifies(self.0.as_ptr()))?;
                let text = |p: *const std::ffi::c_char| CStr::from_ptr(p).to_string_lossy().into_owned();
                let both = (text(notify.as_ref().relname), text(notify.as_ref().extra));
                pq_sys::PQfreemem(notify.as_ptr().cast());
                both
            };
            if let Some(channel) = Channel::ALL.into_iter().find(|c| c.name() == name) {
                return Some(Notification { channel, payload });
            }
        }
    }
}

impl Listener {
    /// Connects and subscribes.
    pub async fn connect(conninfo: &str, channels: &[Channel]) -> Result<Self> {
        let (conninfo, channels) = (conninfo.to_owned(), channels.to_vec());
        let conn = tokio::task::spawn_blocking(move || Connection::open(&conninfo, &channels))
            .await
            .map_err(|e| DbError::Unavailable(e.to_string()))??;
        // SAFETY: the connection is live, and its socket stays open until it is dropped, which is after `socket` is.
        let socket = unsafe {
            let fd = pq_sys::PQsocket(conn.0.as_ptr());
            AsyncFd::register_with_interest(fd, Interest::READABLE)
        };
        let socket = socket.map_err(|e| DbError::Unavailable(e.to_string()))?;
        Ok(Self { socket, conn })
    }

    /// Waits for the next notification. May be dropped and called again without losing any.
    pub async fn next(&mut self) -> Result<Notification> {
        loop {
            if let Some(notification) = self.conn.next() {
                return Ok(notification);
            }
            let mut ready = self.socket.readable().await.map_err(|e| DbError::Unavailable(e.to_string()))?;
            // Cleared before reading, so that what arrives meanwhile wakes again.
            ready.clear_ready();
            // SAFETY: the connection is live.
            if unsafe { pq_sys::PQconsumeInput(self.conn.0.as_ptr()) } == 0 {
                return Err(self.conn.error());
            }
        }
    }
}
