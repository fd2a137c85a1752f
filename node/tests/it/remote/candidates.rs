//! Whom a node asks, in which order, and what members that hang, refuse or lack the file do to a read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::client::{ClientLimits, Pool, StorageClient};
use protocol::cluster::{GroupReplication, ReplicationReport, StorageStatus};
use protocol::storage::{Download, FileInfo, FileInfoFlags};
use protocol::tracker::{Server, ServerListAnswer, StorageList};
use protocol::wire::{Empty, Request, Response};
use protocol::{AddressWidth, Command, FileId, GroupName, Status, StorageId};
use tokio::net::TcpListener;

use super::{Lagging, body, header, holder, name_by, named, place, status};
use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};
use crate::fake_tracker::record;
use crate::wire::{Heard, Wire, whole};

/// Far less than the timeouts of a node that waits for one member.
const QUICK: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_asked_with_a_hello_and_the_others_not() {
    let other = FakeMember::empty(fresh()).await;
    let source = holder().await;
    let lagging = Lagging::among(&[source.address, other.address]).await;
    let id = source.upload(b"from the source", "txt").await;
    assert_eq!(body(&lagging.get(&id).await), "from the source");
    assert_eq!(other.asked(), [], "the source has it");

    // A file that the source does not have.
    let id = name_by(source.address.ip(), "lost");
    assert_eq!(lagging.status(&id).await, 404);
    let asked = other.asked();
    assert_eq!(asked.iter().map(|(command, ..)| *command).collect::<Vec<_>>(), [Command::QUERY_FILE_INFO]);
    let heard = other.heard();
    let at = heard.iter().position(|(command, ..)| *command == Command::QUERY_FILE_INFO).expect("asked");
    let hello = &heard[..at].iter().rfind(|(command, ..)| *command == Command::REPORT_SERVER_ID);
    let own = lagging.node.ip.to_string();
    assert!(hello.is_some_and(|(_, status, id)| *status == 1 && id.starts_with(own.as_bytes())), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_source_costs_a_moment_once() {
    let hung = FakeMember::hung(fresh()).await;
    let other = holder().await;
    let lagging = Lagging::among(&[hung.address, other.address]).await;
    let id = name_by(hung.address.ip(), "with the other, too");
    place(&other, &id, "with the other, too");
    let start = Instant::now();
    assert_eq!(body(&lagging.get(&id).await), "with the other, too");
    assert_eq!(lagging.download(&id).await.as_deref(), Ok("with the other, too"));
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
    let asked = hung.asked().len();
    assert!(asked > 0, "it was asked first");
    for _ in 0..20 {
        assert_eq!(body(&lagging.get(&id).await), "with the other, too");
    }
    assert_eq!(hung.asked().len(), asked, "it has to answer before it is trusted again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_refuses_is_passed_over_and_one_without_the_file_too() {
    let dead = SocketAddr::new(fresh(), 23000);
    let empty = FakeMember::empty(fresh()).await;
    let broken = FakeMember::start(fresh(), |_, _| Reply::Status(Status::EIO)).await;
    let rude = FakeMember::start(fresh(), |_, _| Reply::Last(b"what?".to_vec())).await;
    let other = holder().await;
    let members = [dead, empty.address, broken.address, rude.address];
    let lagging = Lagging::among(&[&members[..], &[other.address]].concat()).await;
    for source in members {
        let id = name_by(source.ip(), "with the other");
        place(&other, &id, "with the other");
        let start = Instant::now();
        assert_eq!(lagging.download(&id).await.as_deref(), Ok("with the other"), "{source}");
        assert_eq!(body(&lagging.get(&id).await), "with the other", "{source}");
        assert!(start.elapsed() < QUICK, "{source}: {:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_do_not_answer_are_no_404() {
    let hung = FakeMember::hung(fresh()).await;
    let dead = SocketAddr::new(fresh(), 23000);
    let empty = FakeMember::empty(fresh()).await;
    let lagging = Lagging::among(&[hung.address, dead, empty.address]).await;
    for source in [hung.address, dead] {
        let id = name_by(source.ip(), "only there");
        let answer = lagging.get(&id).await;
        assert_eq!(status(&answer), 502, "{source}: {answer}");
        assert!(answer.contains("members_unreachable"), "{answer}");
        assert_eq!(lagging.download(&id).await, Err(Status::EAGAIN), "{source}");
        assert_eq!(lagging.status(&id).await, 502, "and that is not taken for an answer");
    }
    // The source itself says that it has no such file, so the silence of others means nothing.
    assert_eq!(lagging.status(&name_by(empty.address.ip(), "gone")).await, 404);
    assert_eq!(lagging.download(&name_by(empty.address.ip(), "gone")).await, Err(Status::ENOENT));
    // A file from long ago is with all, so those who answer speak for all.
    let std::net::IpAddr::V4(ip) = dead.ip() else { panic!("tests run on IPv4") };
    assert_eq!(lagging.status(&named(ip, 1_000_000_000, "old")).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_names_lead_nowhere() {
    let trap = TcpListener::bind((fresh(), 23000)).await.expect("a fresh address");
    let http_trap = TcpListener::bind((trap.local_addr().expect("bound").ip(), 8888)).await.expect("fresh");
    let member = FakeMember::empty(fresh()).await;
    for mode in ["proxy", "redirect"] {
        let habit = Arc::new(|_, _: &[u8]| None);
        let lagging = Lagging::with(&[member.address], &format!("response_mode = {mode}"), habit).await;
        let id = name_by(trap.local_addr().expect("bound").ip(), "forged");
        let answer = lagging.get(&id).await;
        assert_eq!((status(&answer), header(&answer, "location")), (404, None));
        assert_eq!(lagging.download(&id).await, Err(Status::ENOENT));
        let not_a_name =
            format!("GET /{}/M00/00/00/0123456789012345678901234567890123.txt HTTP/1.0\r\n\r\n", id.group);
        assert_eq!(status(&lagging.node.http(&not_a_name).await), 404);
        for headers in ["Host: 127.0.0.9", "X-Forwarded-Host: 127.0.0.9", "Forwarded: host=127.0.0.9"] {
            let request = format!("GET /{id}?v={mode} HTTP/1.0\r\n{headers}\r\n\r\n");
            assert_eq!(status(&lagging.node.http(&request).await), 404);
        }
    }
    for trap in [trap, http_trap] {
        let caught = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
        assert!(caught.is_err(), "somebody was sent to the address in the name");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_that_lack_a_file_do_not_ask_in_circles() {
    let witness = FakeMember::empty(fresh()).await;
    let lagging = Lagging::among(&[witness.address]).await;
    let id = name_by(witness.address.ip(), "nowhere");
    // What a member asks is answered from the own disk: commands 14, 22 and 15 after a hello.
    let mut wire = Wire::open(lagging.node.address).await;
    let mut hello = [0; 16];
    hello[..9].copy_from_slice(b"127.9.9.9");
    wire.send(&whole(9, &hello)).await;
    let frame = wire.hear(PATIENCE).await;
    assert!(matches!(frame, Heard::Frame(ref frame) if frame[9] == 0), "{frame:?}");
    for command in [14, 22, 15] {
        let mut body = if command == 14 { vec![0; 16] } else { Vec::new() };
        body.extend_from_slice(b"group1\0\0\0\0\0\0\0\0\0\0");
        body.extend_from_slice(id.name.as_str().as_bytes());
        wire.send(&whole(command, &body)).await;
        let answer = wire.hear(PATIENCE).await;
        assert!(matches!(answer, Heard::Frame(ref frame) if frame[9] == 2), "{command}: {answer:?}");
    }
    for hop in ["GET /ID?redirect=1 HTTP/1.0\r\n\r\n", "GET /ID HTTP/1.0\r\nFdfs-Hop: 1\r\n\r\n"] {
        assert_eq!(status(&lagging.node.http(&hop.replace("ID", &id.to_string())).await), 404);
    }
    assert_eq!(witness.asked(), []);
    assert_eq!(lagging.status(&id).await, 404);
    assert_eq!(witness.asked().len(), 1, "a client's question is passed on");
}

/// A C member that sends files on asks, without a hello, whether this node has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_s_question_is_about_the_own_disk() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let id = source.upload(b"not sent yet", "txt").await;
    let limits = ClientLimits { bind: Some(source.ip), ..ClientLimits::default() };
    let sender = StorageClient::new(Pool::new(limits));
    let at = lagging.node.address;
    let asked = sender.file_info(at, &id, FileInfoFlags::NO_CRC32).await;
    assert_eq!(asked.expect_err("it is not here").status(), Some(Status::ENOENT));
    let client = lagging.node.client();
    assert_eq!(
        client.file_info(at, &id, FileInfoFlags::NO_CRC32).await.expect("a client's question").size,
        12
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_names_the_holder_that_the_list_does_not_have_yet() {
    let newcomer = holder().await;
    let at = newcomer.address;
    let habit = move |command, _: &[u8]| {
        let servers = vec![Server { ip: at.ip(), port: at.port() }];
        let group = GroupName::parse("group1").expect("a group");
        let answer = ServerListAnswer { group, servers, width: AddressWidth::V4 };
        (command == Command::QUERY_FETCH_ALL).then(|| Ok(answer.to_frame()))
    };
    let lagging = Lagging::with(&[], "", Arc::new(habit)).await;
    let id = newcomer.upload(b"by a new member", "txt").await;
    assert_eq!(body(&lagging.get(&id).await), "by a new member");
}

/// A tracker that started just now names nobody as the holder of anything yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_knows_nobody_asks_the_tracker_for_all_members() {
    let other = holder().await;
    let gone = FakeMember::empty(fresh()).await;
    let (at, deleted) = (other.address, gone.address);
    let habit = move |command, _: &[u8]| {
        let storages = vec![record(deleted, StorageStatus::DELETED), record(at, StorageStatus::ONLINE)];
        let list = StorageList { storages, width: AddressWidth::V4 };
        (command == Command::LIST_STORAGES).then(|| Ok(list.to_frame()))
    };
    let lagging = Lagging::with(&[], "", Arc::new(habit)).await;
    let id = name_by(gone.address.ip(), "of one that is gone");
    place(&other, &id, "of one that is gone");
    assert_eq!(body(&lagging.get(&id).await), "of one that is gone");
    assert_eq!(lagging.status(&name_by(gone.address.ip(), "nowhere")).await, 404);
    assert_eq!(gone.heard(), [], "a deleted member is not asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_back_before_the_list_says_so_is_asked_and_one_that_is_not_does_no_harm() {
    let empty = FakeMember::empty(fresh()).await;
    let back = holder().await;
    let dead = SocketAddr::new(fresh(), 23000);
    let away = SocketAddr::new(fresh(), 23000);
    let members = [
        (empty.address, StorageStatus::ACTIVE),
        (dead, StorageStatus::ACTIVE),
        (back.address, StorageStatus::OFFLINE),
        (away, StorageStatus::OFFLINE),
    ];
    let lagging = Lagging::of(&members[..], "", Arc::new(|_, _| None)).await;
    let id = name_by(dead.ip(), "with the one that is back");
    place(&back, &id, "with the one that is back");
    assert_eq!(body(&lagging.get(&id).await), "with the one that is back");

    // Slaves can be with any member, whoever made the master.
    let members = [members[0], members[2], members[3]];
    let lagging = Lagging::of(&members, "", Arc::new(|_, _| None)).await;
    let slave = |prefix: &str| {
        let master = name_by(empty.address.ip(), "the master").to_string();
        FileId::parse(&master.replace(".txt", &format!("{prefix}.txt"))).expect("a name")
    };
    let (there, nowhere) = (slave("_50x50"), slave("_90x90"));
    place(&back, &there, "a thumb");
    assert_eq!(lagging.download(&there).await.as_deref(), Ok("a thumb"));
    assert_eq!(lagging.status(&nowhere).await, 404, "all that are in service were asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_is_not_asked_for_again_at_once() {
    let member = FakeMember::empty(fresh()).await;
    let lagging = Lagging::among(&[member.address]).await;
    let id = name_by(member.address.ip(), "nowhere");
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(lagging.status(&id).await, 404);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "50 answers take no second");
    assert_eq!(member.asked().len(), 1);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(lagging.status(&id).await, 404);
    assert_eq!(member.asked().len(), 2);
    // A slave's name is known before the slave is made.
    let slave = FileId::parse(&id.to_string().replace(".txt", "_150x150.txt")).expect("a name");
    for count in 3..6 {
        assert_eq!(lagging.status(&slave).await, 404);
        assert_eq!(member.asked().len(), count);
    }
}

fn info(size: u64) -> Reply {
    let info = FileInfo { size, time: 1, crc32: 1, source: None, width: AddressWidth::V4 };
    Reply::Frame(info.to_frame())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_gone_after_it_told_of_the_file_has_a_stand_in() {
    let fickle = FakeMember::start(fresh(), |command, _| match command {
        Command::QUERY_FILE_INFO => info(8),
        _ => Reply::Last(Vec::new()),
    });
    let fickle = fickle.await;
    // This one has a file of that name, but another content.
    let wrong = FakeMember::start(fresh(), |command, _| match command {
        Command::DOWNLOAD_FILE => Reply::Frame(bytes::Bytes::from_static(b"short").to_frame()),
        _ => info(5),
    });
    let wrong = wrong.await;
    let other = holder().await;
    let lagging = Lagging::among(&[fickle.address, wrong.address, other.address]).await;
    let id = name_by(fickle.address.ip(), "8 bytes.");
    place(&other, &id, "8 bytes.");
    let answer = lagging.get(&id).await;
    assert_eq!((status(&answer), body(&answer)), (200, "8 bytes."));
    assert!(fickle.asked().iter().any(|(command, ..)| *command == Command::DOWNLOAD_FILE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_breaks_off_is_not_passed_for_whole() {
    let breaking = FakeMember::start(fresh(), |command, body| match command {
        Command::QUERY_FILE_INFO => info(1000),
        _ => {
            assert!(Download::decode_body(body).is_ok());
            Reply::Last([&[0, 0, 0, 0, 0, 0, 3, 0xE8, 100, 0][..], b"the beginning"].concat())
        }
    });
    let breaking = breaking.await;
    let lagging = Lagging::among(&[breaking.address]).await;
    let id = name_by(breaking.address.ip(), &"x".repeat(1000));
    let answer = lagging.get(&id).await;
    // The connection ends before the announced length is reached, perhaps before the head is out.
    assert!(answer.is_empty() || header(&answer, "content-length") == Some("1000"), "{answer}");
    assert!(answer.is_empty() || "the beginning".starts_with(body(&answer)), "{answer}");
    let download = lagging.node.client().download_bytes(lagging.node.address, &id, 2000).await;
    assert!(download.expect_err("it is not whole").status().is_none(), "the connection broke");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_redirected_to_a_member_that_has_the_file() {
    let empty = FakeMember::empty(fresh()).await;
    let source = holder().await;
    let members = [empty.address, source.address];
    let lagging = Lagging::with(&members, "response_mode = redirect", Arc::new(|_, _| None)).await;
    let id = source.upload(b"go there", "txt").await;
    let request = format!("GET /{id}?filename=a.txt HTTP/1.0\r\nCookie: secret=1\r\n\r\n");
    let answer = lagging.node.http(&request).await;
    let target = format!("http://{}:8888/{id}?filename=a.txt&redirect=1", source.ip);
    assert_eq!((status(&answer), header(&answer, "location")), (307, Some(&*target)));
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    let path = target.split_once(":8888").expect("a port").1;
    let there = source.http(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
    assert_eq!((status(&there), body(&there)), (200, "go there"));
    // A copy at another member than the source counts as well, and where there is none, nobody is sent.
    let id = name_by(empty.address.ip(), "a copy");
    place(&source, &id, "a copy");
    let answer = lagging.get(&id).await;
    assert_eq!(header(&answer, "location"), Some(&*format!("http://{}:8888/{id}?redirect=1", source.ip)));
    assert_eq!(lagging.status(&name_by(empty.address.ip(), "none")).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_to_the_url_that_a_member_advertises() {
    let source = holder().await;
    let id = StorageId::parse(&source.ip.to_string()).expect("an id");
    let told: Arc<Mutex<Option<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let habit = move |command, body: &[u8]| match command {
        Command::REPLICATION_REPORT => {
            let report = ReplicationReport::decode_body(body).expect("a report");
            *heard.lock().expect("no panic") = Some(report.http_url);
            Some(Ok(Empty.to_frame()))
        }
        Command::QUERY_REPLICATION => {
            let http_url = "https://img2.example.com/files".to_owned();
            let report = ReplicationReport { http_url, senders: Vec::new() };
            Some(Ok(GroupReplication(vec![(id, report)]).to_frame()))
        }
        _ => None,
    };
    let more = "response_mode = redirect\nhttp.advertise_url = https://img1.example.com:8443/";
    let lagging = Lagging::with(&[source.address], more, Arc::new(habit)).await;
    let id = source.upload(b"behind a proxy", "txt").await;
    let target = format!("https://img2.example.com/files/{id}?redirect=1");
    // Other members' URLs come with a beat.
    let start = Instant::now();
    while header(&lagging.get(&id).await, "location") != Some(&*target) {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", lagging.get(&id).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = told.lock().expect("no panic").clone();
    assert_eq!(told.as_deref(), Some("https://img1.example.com:8443"), "and this node tells its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_client_goes_to_the_members() {
    let member = FakeMember::start(fresh(), |command, _| match command {
        Command::QUERY_FILE_INFO => info(5),
        _ => Reply::Frame(bytes::Bytes::from_static(b"12345").to_frame()),
    });
    let member = member.await;
    let lagging = Lagging::among(&[member.address]).await;
    let id = name_by(member.address.ip(), "12345");
    let request = format!(
        "GET /{id}?token=s3cret HTTP/1.0\r\nCookie: session=s3cret\r\nAuthorization: Bearer s3cret\r\n\r\n"
    );
    assert_eq!(body(&lagging.node.http(&request).await), "12345");
    let heard = member.heard();
    assert!(heard.iter().any(|(command, ..)| *command == Command::DOWNLOAD_FILE));
    let told = |body: &[u8]| body.windows(6).any(|six| six == b"s3cret");
    assert!(!heard.iter().any(|(_, _, body)| told(body)), "{heard:?}");
}
