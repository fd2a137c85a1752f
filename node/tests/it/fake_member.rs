//! A member of a group that answers as a test wants it to, and keeps what it was asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use protocol::service::{Connection, ConnectionError, NativeService, ServiceLimits};
use protocol::{Command, Status};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it does with a request.
pub(crate) enum Reply {
    /// A whole answer.
    Frame(BytesMut),
    Status(Status),
    /// Nothing, ever.
    Silence,
    /// These bytes, and then the connection ends.
    Last(Vec<u8>),
}

/// A request: command, status, body.
pub(crate) type Asked = (Command, u8, Vec<u8>);

/// A running member; when dropped, it ends with its connections.
pub(crate) struct FakeMember {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _stop: DropGuard,
}

impl FakeMember {
    /// Answers hellos itself, all else as `replies` says.
    pub(crate) async fn start(
        ip: IpAddr,
        replies: impl Fn(Command, &[u8]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let limits = ServiceLimits {
            max_connections: 64,
            network_timeout: Duration::from_secs(30),
            drain_timeout: Duration::ZERO,
        };
        let service = NativeService::bind(SocketAddr::new(ip, 23000), limits).await.expect("a fresh address");
        let address = service.local_addr().expect("a bound socket has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (kept, replies) = (Arc::clone(&asked), Arc::new(replies));
        let handle = move |connection| {
            let (kept, replies) = (Arc::clone(&kept), Arc::clone(&replies));
            async move {
                // Whoever asks may leave at any time.
                let _ = talk(&kept, &*replies, connection).await;
            }
        };
        let stop = CancellationToken::new();
        tokio::spawn(service.serve(|_| true, stop.clone(), handle));
        Self { address, asked, _stop: stop.drop_guard() }
    }

    /// One that has nothing.
    pub(crate) async fn empty(ip: IpAddr) -> Self {
        Self::start(ip, |_, _| Reply::Status(Status::ENOENT)).await
    }

    /// One that takes requests and answers none.
    pub(crate) async fn hung(ip: IpAddr) -> Self {
        Self::start(ip, |_, _| Reply::Silence).await
    }

    /// What was asked about files, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let about_files = [Command::DOWNLOAD_FILE, Command::QUERY_FILE_INFO, Command::GET_METADATA];
        let asked = self.asked.lock().expect("no test panics with it").clone();
        asked.into_iter().filter(|(command, ..)| about_files.contains(command)).collect()
    }

    /// All that came.
    pub(crate) fn heard(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

async fn talk(
    kept: &Mutex<Vec<Asked>>,
    replies: &(dyn Fn(Command, &[u8]) -> Reply + Send + Sync),
    mut connection: Connection,
) -> Result<(), ConnectionError> {
    while let Some(header) = connection.next_header(1 << 20).await? {
        let len = usize::try_from(header.body_len).expect("checked by next_header");
        let body = connection.read_exact(len).await?;
        kept.lock().expect("no test panics with it").push((header.command, header.status.0, body.to_vec()));
        match header.command {
            Command::QUIT => return Ok(()),
            Command::REPORT_SERVER_ID | Command::ACTIVE_TEST => connection.send_status(Status::OK).await?,
            command => match replies(command, &body) {
                Reply::Frame(frame) => connection.send(&frame).await?,
                Reply::Status(status) => connection.send_status(status).await?,
                Reply::Silence => std::future::pending().await,
                Reply::Last(bytes) => {
                    connection.send(&bytes).await?;
                    return Ok(());
                }
            },
        }
        connection.request_complete();
    }
    Ok(())
}
