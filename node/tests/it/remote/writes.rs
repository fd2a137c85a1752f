//! Writes that a member without HTTP carries out natively, when it does not do as it is asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::file_id::{NameCode, SizeField};
use protocol::storage::{FileCreated, FileInfo};
use protocol::tracker::{QueryStoreInGroup, QueryUpdate, Server, ServerAnswer, StoreAnswer};
use protocol::wire::{Request, Response};
use protocol::{AddressWidth, Command, FileId, GroupName, LogicName, Status};

use super::{Lagging, body, name_by, status};
use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};

const WIDTH: AddressWidth = AddressWidth::V4;

/// A node, and the member to which a tracker sends all writes.
struct Case {
    node: Lagging,
    member: FakeMember,
}

impl Case {
    async fn new(replies: impl Fn(Command, &[u8]) -> Reply + Send + Sync + 'static) -> Self {
        let member = FakeMember::start(fresh(), replies).await;
        let server = Server { ip: member.address.ip(), port: member.address.port() };
        let habit = move |command, asked: &[u8]| {
            let update = || QueryUpdate::decode_body(asked).ok();
            let store = || QueryStoreInGroup::decode_body(asked).ok();
            match command {
                QueryUpdate::COMMAND => update().map(|QueryUpdate { group, .. }| {
                    Ok(ServerAnswer { group, server, width: WIDTH }.to_frame())
                }),
                QueryStoreInGroup::COMMAND => store().map(|QueryStoreInGroup(group)| {
                    let store_path = protocol::file_id::StorePathIndex(0);
                    Ok(StoreAnswer { group, server, store_path, width: WIDTH }.to_frame())
                }),
                _ => None,
            }
        };
        Self { node: Lagging::with(&[member.address], "", Arc::new(habit)).await, member }
    }

    /// Status and body of an answer by HTTP.
    async fn ask(&self, method: &str, target: &str, content: &str) -> (u16, String) {
        let len = content.len();
        let request = format!("{method} {target} HTTP/1.0\r\nContent-Length: {len}\r\n\r\n{content}");
        let answer = self.node.node.http(&request).await;
        (status(&answer), body(&answer).to_owned())
    }

    /// What it was asked to do, without what it was asked for.
    fn done(&self) -> Vec<Command> {
        let is_question = |command: &Command| {
            [Command::QUERY_FILE_INFO, Command::GET_METADATA, Command::REPORT_SERVER_ID].contains(command)
        };
        self.member.heard().into_iter().map(|(command, ..)| command).filter(|it| !is_question(it)).collect()
    }
}

/// An appender file of this member.
fn appender(member: IpAddr) -> FileId {
    let id = name_by(member, "abc");
    let code = NameCode { size: SizeField::appender(1), ..id.name.code().expect("a name with a code") };
    let (tail, dir) = (id.name.tail().expect("a name with a tail"), id.name.sub_dir());
    FileId { name: LogicName::make(id.name.store_path(), dir, &code, None, &tail), ..id }
}

/// The file has three bytes and no metadata.
fn looked_at(command: Command) -> Option<Reply> {
    let info = FileInfo { size: 3, time: 1, crc32: 0, source: None, width: WIDTH };
    match command {
        Command::QUERY_FILE_INFO => Some(Reply::Frame(info.to_frame())),
        Command::GET_METADATA => Some(Reply::Status(Status::ENOENT)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_as_what_it_is() {
    for (refusal, expected) in [
        (Status::ENOENT, (404, "no_such_file")),
        (Status::ENOSPC, (507, "no_space")),
        (Status::EINVAL, (400, "invalid")),
        (Status::EPERM, (502, "member_refused")),
    ] {
        let replies = move |command, _: &[u8]| looked_at(command).unwrap_or(Reply::Status(refusal));
        let case = Case::new(replies).await;
        let id = appender(case.member.address.ip());
        for (method, target, content) in [
            ("PATCH", "", "def"),
            ("PATCH", "?offset=1", "def"),
            ("POST", "/truncate?size=1", ""),
            ("POST", "/finish", ""),
            ("PUT", "/metadata/a", "b"),
            ("POST", "/slaves?prefix=_a&ext=txt", "small"),
        ] {
            // Its question for the slave's name is answered as if that were there.
            let expected = if target.starts_with("/slaves") { (409, "exists") } else { expected };
            let (status, problem) = case.ask(method, &format!("/v1/files/{id}{target}"), content).await;
            let code = format!("\"code\":\"{}\"", expected.1);
            assert!(status == expected.0 && problem.contains(&code), "{refusal} {target}: {problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_breaks_off_may_have_done_it() {
    let hang = |command, _: &[u8]| looked_at(command).unwrap_or(Reply::Last(Vec::new()));
    let case = Case::new(hang).await;
    let id = appender(case.member.address.ip());
    let (status, problem) = case.ask("PATCH", &format!("/v1/files/{id}"), "def").await;
    assert!(status == 502 && problem.contains("member_unreachable"), "{problem}");
    assert!(problem.contains("may have done it all the same"), "{problem}");

    // A member that says nothing does not hold a client, nor the next one, for ever.
    let silent = |command, _: &[u8]| looked_at(command).unwrap_or(Reply::Silence);
    let case = Case::new(silent).await;
    let (id, start) = (appender(case.member.address.ip()), Instant::now());
    for _ in 0..2 {
        let (status, problem) = case.ask("PATCH", &format!("/v1/files/{id}"), "def").await;
        assert!(status == 502 && problem.contains("member_unreachable"), "{problem}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "its network_timeout is 3 s");
}

/// FastDFS answers so to changes that change nothing, and clients lose step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_repeats_the_question_is_borne_and_not_asked_for() {
    let echo = |command, asked: &[u8]| {
        looked_at(command).unwrap_or_else(|| Reply::Frame(Bytes::copy_from_slice(asked).to_frame()))
    };
    let case = Case::new(echo).await;
    let id = appender(case.member.address.ip());
    for (method, target) in [("PATCH", ""), ("PATCH", "?offset=3"), ("POST", "/truncate?size=3")] {
        assert_eq!(case.ask(method, &format!("/v1/files/{id}{target}"), "").await.0, 200, "{target}");
    }
    assert_eq!(case.done(), []);
    for (method, target, content) in [("PATCH", "", "x"), ("POST", "/truncate?size=2", "")] {
        assert_eq!(case.ask(method, &format!("/v1/files/{id}{target}"), content).await.0, 200, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_metadata_is_refused_goes_again() {
    let made = |group: &str| {
        let id = name_by(IpAddr::from([127, 0, 0, 1]), "abc");
        FileCreated(FileId { group: GroupName::parse(group).expect("a group"), ..id })
    };
    let replies = move |command, _: &[u8]| match command {
        Command::UPLOAD_FILE => Reply::Frame(made("group2").to_frame()),
        Command::SET_METADATA => Reply::Status(Status::EIO),
        _ => Reply::Status(Status::OK),
    };
    let case = Case::new(replies).await;
    let (status, problem) = case.ask("PUT", "/v1/upload/a.txt?group=group2", "abc").await;
    assert!(status == 502 && problem.contains("member_refused"), "{problem}");
    assert_eq!(case.done(), [Command::UPLOAD_FILE, Command::SET_METADATA, Command::DELETE_FILE]);

    let of_other = move |_, _: &[u8]| Reply::Frame(made("group3").to_frame());
    let case = Case::new(of_other).await;
    let (status, problem) = case.ask("POST", "/v1/files?group=group2&ext=txt", "abc").await;
    assert!(status == 502 && problem.contains("answered with something else"), "{problem}");
}
