//! What a member's refusal or silence means for who asked for the write.

use std::net::SocketAddr;

use gateway::files::WriteError;
use protocol::Status;
use protocol::client::ClientError;
use protocol::daemon::Chain;

/// Of a call to this member.
pub(super) fn failed(member: SocketAddr) -> impl FnOnce(ClientError) -> WriteError {
    move |error| match error.status() {
        Some(Status::ENOENT) => WriteError::NotFound,
        Some(Status::EEXIST) => WriteError::Exists,
        Some(Status::ENOSPC) => WriteError::NoSpace,
        Some(Status::EINVAL) => {
            WriteError::Invalid("the member that this write belongs to refuses it as invalid")
        }
        Some(status) => {
            WriteError::Member { member, answered: true, why: format!("answered with status {status}") }
        }
        None => WriteError::Member { member, answered: false, why: silence(&error) },
    }
}

fn silence(error: &ClientError) -> String {
    let why = Chain(error);
    if error.is_unreachable() {
        return format!("cannot be reached ({why})");
    }
    format!("did not answer ({why}) and may have done it all the same: look before you send it again")
}

/// Of a write whose first half is done.
pub(super) fn half(member: SocketAddr, done: &str, error: &WriteError) -> WriteError {
    let answered = !matches!(error, WriteError::Member { answered: false, .. });
    WriteError::Member { member, answered, why: format!("did only half of it: {done} ({error})") }
}

/// Of an answer that cannot be.
pub(super) fn nonsense(member: SocketAddr) -> WriteError {
    WriteError::Member { member, answered: true, why: "answered with something else".to_owned() }
}
