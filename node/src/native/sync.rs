//! Requests of other members of the group, which send on what their clients did. Every answer is an empty body: 0 where
//! the change has taken effect, `EEXIST` where it had before, `ENOENT` where what it applies to is missing. Any other
//! status makes a FastDFS member send the same again for ever.

use bytes::Bytes;
use gateway::files::WriteError;
use protocol::frame::HEADER_LEN;
use protocol::service::{Connection, ConnectionError};
use protocol::storage::ReportServerId;
use protocol::sync::{
    DIALECT, HELLO, SyncAppend, SyncDelete, SyncFile, SyncLink, SyncModify, SyncPair, SyncRange, SyncRename,
    SyncTruncate,
};
use protocol::{Command, GroupName, Header, LogicName, Status};

use super::answer::{decode, write_status};
use super::content::{SMALL, read_head, read_head_by, stream};
use super::{Native, Next, Session, read_body, refuse};
use crate::store::{Begun, Change, IncomingFile, IncomingMode, IncomingPart, Outcome, PartMode};

/// Small files that are stored by one job.
const MOST_AT_ONCE: usize = 64;

/// What only members ask.
pub(super) const COMMANDS: [Command; 8] = [
    Command::SYNC_CREATE_FILE,
    Command::SYNC_DELETE_FILE,
    Command::SYNC_UPDATE_FILE,
    Command::SYNC_CREATE_LINK,
    Command::SYNC_APPEND_FILE,
    Command::SYNC_MODIFY_FILE,
    Command::SYNC_TRUNCATE_FILE,
    Command::SYNC_RENAME_FILE,
];

/// A member says who it is. One of our kind hears that this node is, too.
pub(super) async fn hello(
    connection: &mut Connection,
    header: &Header,
    session: &mut Session,
) -> Result<Next, ConnectionError> {
    let body = match read_body(connection, header).await? {
        Ok(body) => body,
        Err(next) => return Ok(next),
    };
    match decode::<ReportServerId>(&body) {
        Ok(ReportServerId(id)) => session.member = Some(id),
        Err(status) => {
            connection.send_status(status).await?;
            return Ok(Next::Request);
        }
    }
    if header.status == HELLO {
        let body_len = DIALECT.len() as u64;
        let head = Header { body_len, command: Command::RESPONSE, status: Status::OK };
        connection.send_two(&head.to_bytes(), &DIALECT).await?;
    } else {
        connection.send_status(Status::OK).await?;
    }
    Ok(Next::Request)
}

/// Answers one of [`COMMANDS`].
pub(super) async fn serve(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
    session: &Session,
) -> Result<Next, ConnectionError> {
    connection.expect_requests_ahead();
    let done = match header.command {
        Command::SYNC_CREATE_FILE => whole(native, connection, header, session, IncomingMode::Create).await?,
        Command::SYNC_UPDATE_FILE => whole(native, connection, header, session, IncomingMode::Update).await?,
        Command::SYNC_APPEND_FILE => match read_head::<SyncAppend>(connection, header).await? {
            Ok(SyncAppend(head)) => part(native, connection, PartMode::Append, head).await?,
            Err(next) => return Ok(next),
        },
        Command::SYNC_MODIFY_FILE => match read_head::<SyncModify>(connection, header).await? {
            Ok(SyncModify(head)) => part(native, connection, PartMode::Modify, head).await?,
            Err(next) => return Ok(next),
        },
        _ => match read_body(connection, header).await? {
            Ok(body) => Ok(names(native, header.command, &body).await),
            Err(next) => return Ok(next),
        },
    };
    match done {
        Ok(done) => tell(native, connection, session, header.command, done).await,
        Err(next) => Ok(next),
    }
}

/// Answers, and notes how far the member has got that sent it.
async fn tell(
    native: &Native,
    connection: &mut Connection,
    session: &Session,
    command: Command,
    Done { time, outcome }: Done,
) -> Result<Next, ConnectionError> {
    if let Ok(outcome) = outcome
        && counts(command, outcome)
        && let Some(member) = &session.member
    {
        native.received.note(member, time);
    }
    let status = match outcome {
        Ok(Outcome::Applied) => Status::OK,
        Ok(Outcome::Present) => Status::EEXIST,
        // FastDFS's senders send a truncate again for ever, and nothing else, while they hear that the file is missing.
        // Ours look at the file after this answer, and send it whole.
        Ok(Outcome::Missing) if command == Command::SYNC_TRUNCATE_FILE => Status::EEXIST,
        Ok(Outcome::Missing) => Status::ENOENT,
        Err(status) => status,
    };
    connection.send_status_soon(status).await?;
    Ok(Next::Request)
}

/// A request that was read whole.
struct Done {
    /// Of its record.
    time: i32,
    outcome: Result<Outcome, Status>,
}

/// Whether the source's newest time here may move on to that of this record.
fn counts(command: Command, outcome: Outcome) -> bool {
    match outcome {
        // The reference leaves renames out.
        Outcome::Applied => command != Command::SYNC_RENAME_FILE,
        Outcome::Present => [Command::SYNC_CREATE_FILE, Command::SYNC_APPEND_FILE, Command::SYNC_MODIFY_FILE]
            .contains(&command),
        Outcome::Missing => false,
    }
}

/// Refuses files of another group, which a member of this one never sends.
fn check_group(native: &Native, group: GroupName) -> Result<(), Status> {
    if group == native.store.group() { Ok(()) } else { Err(Status::EINVAL) }
}

/// Takes more creates of small files that came ahead, as far as one job can do them all.
fn gather(native: &Native, connection: &mut Connection, files: &mut Vec<(IncomingFile, Bytes)>) {
    while files.len() < MOST_AT_ONCE
        && let Some((header, body)) = connection.received_whole()
        && header.command == Command::SYNC_CREATE_FILE
        && header.status == Status::OK
        && let Ok(Some((SyncFile { time, group, name, size }, head_len))) =
            SyncFile::decode(body, header.body_len, true)
        && size <= SMALL
        && check_group(native, group).is_ok()
        && let Some((first, _)) = files.first()
        && first.mode == IncomingMode::Create
        && files.iter().all(|(file, _)| file.name != name)
    {
        let content = Bytes::copy_from_slice(body.get(head_len..).unwrap_or_default());
        let len = HEADER_LEN + body.len();
        connection.consume(len);
        files.push((IncomingFile { name, time, size, mode: IncomingMode::Create }, content));
    }
}

/// Stores files that are in memory, and answers for each.
async fn small(
    native: &Native,
    connection: &mut Connection,
    session: &Session,
    files: Vec<(IncomingFile, Bytes)>,
) -> Result<Next, ConnectionError> {
    let asked: Vec<(Command, i32)> = files
        .iter()
        .map(|(file, _)| match file.mode {
            IncomingMode::Create => (Command::SYNC_CREATE_FILE, file.time),
            IncomingMode::Update => (Command::SYNC_UPDATE_FILE, file.time),
        })
        .collect();
    let outcomes = native.store.receive(files).await;
    for ((command, time), outcome) in asked.into_iter().zip(outcomes) {
        let done = Done { time, outcome: outcome.map_err(write_status) };
        tell(native, connection, session, command, done).await?;
    }
    Ok(Next::Request)
}

async fn whole(
    native: &Native,
    connection: &mut Connection,
    header: &Header,
    session: &Session,
    mode: IncomingMode,
) -> Result<Result<Done, Next>, ConnectionError> {
    let store = &native.store;
    let has_content = header.status == Status::OK;
    let decode = |have: &[u8], body_len| SyncFile::decode(have, body_len, has_content);
    let SyncFile { time, group, name, size } = match read_head_by(connection, header, decode).await? {
        Ok(head) => head,
        Err(next) => return Ok(Err(next)),
    };
    let unread = if has_content { size } else { 0 };
    if let Err(status) = check_group(native, group) {
        return Ok(Err(refuse(connection, status, unread).await?));
    }
    let file = IncomingFile { name, time, size, mode };
    let outcome = match usize::try_from(size) {
        _ if !has_content => store.receive_known(file).await,
        Ok(len) if size <= SMALL => {
            let content = connection.read_exact(len).await?.freeze();
            let mut files = vec![(file, content)];
            gather(native, connection, &mut files);
            return small(native, connection, session, files).await.map(Err);
        }
        _ => match store.begin_receive(file).await {
            Ok(Begun::Wanted(mut receive)) => match stream(connection, &mut receive, size).await? {
                Ok(()) => receive.commit().await,
                Err((error, unread)) => {
                    return Ok(Err(refuse(connection, write_status(error), unread).await?));
                }
            },
            Ok(Begun::Over(outcome)) => {
                connection.skip(size).await?;
                Ok(outcome)
            }
            Err(error) => return Ok(Err(refuse(connection, write_status(error), size).await?)),
        },
    };
    Ok(Ok(Done { time, outcome: outcome.map_err(write_status) }))
}

async fn part(
    native: &Native,
    connection: &mut Connection,
    mode: PartMode,
    head: SyncRange,
) -> Result<Result<Done, Next>, ConnectionError> {
    let SyncRange { name, offset, len, time, group } = head;
    if let Err(status) = check_group(native, group) {
        return Ok(Err(refuse(connection, status, len).await?));
    }
    let part = IncomingPart { name, offset, len, time };
    if let Ok(in_memory) = usize::try_from(len)
        && len <= SMALL
    {
        let content = connection.read_exact(in_memory).await?.freeze();
        let outcome = native.store.receive_part(mode, part, content).await.map_err(write_status);
        return Ok(Ok(Done { time, outcome }));
    }
    let outcome = match native.store.begin_receive_part(mode, part).await {
        Ok(Begun::Wanted(change)) => match write_part(connection, change, len).await? {
            Ok(written) => written,
            Err((error, unread)) => {
                return Ok(Err(refuse(connection, write_status(error), unread).await?));
            }
        },
        Ok(Begun::Over(outcome)) => {
            connection.skip(len).await?;
            Ok(outcome)
        }
        Err(error) => return Ok(Err(refuse(connection, write_status(error), len).await?)),
    };
    Ok(Ok(Done { time, outcome: outcome.map_err(write_status) }))
}

type Committed = Result<Outcome, WriteError>;

/// A change is dropped, and with it undone, before anybody hears that it failed.
async fn write_part(
    connection: &mut Connection,
    mut change: Change,
    len: u64,
) -> Result<Result<Committed, (WriteError, u64)>, ConnectionError> {
    match stream(connection, &mut change, len).await? {
        Ok(()) => Ok(Ok(change.commit().await.map(|_| Outcome::Applied))),
        Err(failed) => Ok(Err(failed)),
    }
}

/// Requests that are names and numbers only.
async fn names(native: &Native, command: Command, body: &[u8]) -> Done {
    match decode_names(native, command, body) {
        Ok((time, change)) => Done { time, outcome: change.apply(native, time).await.map_err(write_status) },
        Err(status) => Done { time: 0, outcome: Err(status) },
    }
}

enum NameChange {
    Delete(LogicName),
    Link { dest: LogicName, source: LogicName },
    Rename { dest: LogicName, source: LogicName },
    Truncate { name: LogicName, old_size: u64, new_size: u64 },
}

fn decode_names(native: &Native, command: Command, body: &[u8]) -> Result<(i32, NameChange), Status> {
    let (group, time, change) = match command {
        Command::SYNC_DELETE_FILE => {
            let SyncDelete { time, group, name } = decode(body)?;
            (group, time, NameChange::Delete(name))
        }
        Command::SYNC_CREATE_LINK => {
            let SyncLink(SyncPair { dest, source, time, group }) = decode(body)?;
            (group, time, NameChange::Link { dest, source })
        }
        Command::SYNC_RENAME_FILE => {
            let SyncRename(SyncPair { dest, source, time, group }) = decode(body)?;
            (group, time, NameChange::Rename { dest, source })
        }
        _ => {
            let SyncTruncate { name, old_size, new_size, time, group } = decode(body)?;
            (group, time, NameChange::Truncate { name, old_size, new_size })
        }
    };
    check_group(native, group)?;
    Ok((time, change))
}

impl NameChange {
    async fn apply(self, native: &Native, time: i32) -> Result<Outcome, WriteError> {
        let store = &native.store;
        match self {
            Self::Delete(name) => store.receive_delete(name, time).await,
            Self::Link { dest, source } => store.receive_link(dest, source, time).await,
            Self::Rename { dest, source } => store.receive_rename(dest, source, time).await,
            Self::Truncate { name, old_size, new_size } => {
                store.receive_truncate(name, old_size, new_size, time).await
            }
        }
    }
}
