//! Files of other groups: a tracker says who has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use protocol::storage::FileInfo;
use protocol::tracker::{QueryFetchAll, Server, ServerListAnswer};
use protocol::wire::{Request, Response};
use protocol::{AddressWidth, Command, FileId, GroupName, Status};

use super::{Lagging, body, name_by, status};
use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};

fn of_group2(id: FileId) -> FileId {
    FileId { group: GroupName::parse("group2").expect("a group"), ..id }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_another_group_come_from_whom_a_tracker_names() {
    let there = FakeMember::start(fresh(), |command, _| match command {
        Command::QUERY_FILE_INFO => {
            let info = FileInfo { size: 9, time: 1, crc32: 1, source: None, width: AddressWidth::V4 };
            Reply::Frame(info.to_frame())
        }
        _ => Reply::Frame(Bytes::from_static(b"elsewhere").to_frame()),
    });
    let there = there.await;
    let at = there.address;
    let own = FakeMember::empty(fresh()).await;
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&is_silent);
    let names = move |body: &[u8]| {
        if silent.load(Ordering::SeqCst) {
            // No answer that a client understands.
            return Ok(Bytes::from_static(b"?").to_frame());
        }
        let asked = QueryFetchAll::decode_body(body).map_err(|_| Status::EINVAL)?;
        if asked.group.as_str() != "group2" {
            return Err(Status::ENOENT);
        }
        let servers = vec![Server { ip: at.ip(), port: at.port() }];
        Ok(ServerListAnswer { group: asked.group, servers, width: AddressWidth::V4 }.to_frame())
    };
    let habit = move |command, body: &[u8]| (command == Command::QUERY_FETCH_ALL).then(|| names(body));
    let lagging = Lagging::with(&[own.address], "", Arc::new(habit)).await;
    // Whatever the name says of its source.
    let id = of_group2(name_by(own.address.ip(), "elsewhere"));
    let answer = lagging.get(&id).await;
    assert_eq!((status(&answer), body(&answer)), (200, "elsewhere"));
    assert_eq!(lagging.download(&id).await, Err(Status::EINVAL), "natively a storage serves its own group");

    let unknown = FileId { group: GroupName::parse("group3").expect("a group"), ..id.clone() };
    assert_eq!(lagging.status(&unknown).await, 404);
    assert_eq!(own.asked(), [], "the own group is not asked for files of another");

    is_silent.store(true, Ordering::SeqCst);
    let id = of_group2(name_by(at.ip(), "elsewhere"));
    assert_eq!(lagging.status(&id).await, 502, "no tracker, no answer");
}
