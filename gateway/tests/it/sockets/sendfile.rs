//! Files that leave by `sendfile`: every byte is the file's, however the client reads.

use std::time::Duration;

use gateway::files::UploadKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Client, Running, SOON};

/// Content of which no two stretches are equal, and without a zero byte.
fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        u8::try_from(state >> 24).unwrap().max(1)
    };
    (0..len).map(|_| next()).collect()
}

/// Says where contents differ, not what they are.
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs = found.iter().zip(expected).position(|(one, other)| one != other);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

async fn get(client: &mut Client, id: &str, headers: &str) -> super::Raw {
    client.send(&format!("GET /{id} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
    client.answer(false).await
}

#[tokio::test]
async fn files_of_all_lengths_arrive_whole_on_one_connection() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    for edge in [16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20] {
        for len in [edge - 1, edge, edge + 1, edge + 4096] {
            let content = content(len);
            let id = server.store.add(&UploadKind::Normal, "bin", &content).to_string();
            let answer = get(&mut client, &id, "").await;
            assert_same(&answer.body, &content, &len.to_string());
            client.send(&format!("HEAD /{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let head = client.answer(true).await;
            assert_eq!(head.header("content-length"), Some(len.to_string().as_str()));
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn ranges_are_cut_exactly() {
    const LEN: usize = 3_000_000;
    let server = Running::plain().await;
    let content = content(LEN);
    let id = server.store.add(&UploadKind::Appender, "bin", &content).to_string();
    let mut client = server.connect().await;
    let piece = 1 << 20;
    let edges = [0, 1, 4095, 4096, 70_000, piece - 1, piece, piece + 1, 2 * piece, LEN - 1];
    for start in edges {
        for end in edges.into_iter().filter(|end| *end >= start) {
            let answer = get(&mut client, &id, &format!("Range: bytes={start}-{end}\r\n")).await;
            assert_eq!(answer.status(), 206);
            assert_same(&answer.body, &content[start..=end], &format!("{start}-{end}"));
        }
    }
    let parts = [(0, 9), (500_000, 1_900_000), (LEN - 2, LEN - 1)];
    let ranges: Vec<String> = parts.iter().map(|(start, end)| format!("{start}-{end}")).collect();
    let answer = get(&mut client, &id, &format!("Range: bytes={}\r\n", ranges.join(","))).await;
    let mut at = 0;
    for (start, end) in parts {
        let head = format!("bytes {start}-{end}/{LEN}\r\n\r\n");
        let found = answer.body[at..].windows(head.len()).position(|bytes| bytes == head.as_bytes());
        at += found.expect("the head of a part") + head.len();
        assert_same(&answer.body[at..=at + end - start], &content[start..=end], &head);
        at += end - start + 1;
    }
    assert!(!answer.body.contains(&0), "nothing stands in for the file's bytes");
    server.finish().await;
}

#[tokio::test]
async fn slow_readers_with_small_windows_get_every_byte() {
    let server = Running::plain().await;
    let content = content(5_000_000);
    let id = server.store.add(&UploadKind::Normal, "bin", &content).to_string();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(format!("GET /{id} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut found = Vec::new();
    let mut piece = vec![0; 40_009];
    loop {
        let read = tokio::time::timeout(SOON, stream.read(&mut piece)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        found.extend_from_slice(&piece[..read]);
        if found.len() % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let head = found.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_same(&found[head..], &content, "to the end of the connection");
    server.finish().await;
}

#[tokio::test]
async fn pipelined_files_do_not_mix() {
    let server = Running::plain().await;
    let contents = [content(1_500_000), content(70_000), content(100), content(2_100_000)];
    let ids: Vec<String> = contents
        .iter()
        .map(|content| server.store.add(&UploadKind::Normal, "bin", content).to_string())
        .collect();
    let mut client = server.connect().await;
    let order: Vec<usize> = (0..24).map(|at| at * 7 % 4).collect();
    let requests: String =
        order.iter().map(|at| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", ids[*at])).collect();
    client.send(&requests).await;
    for at in order {
        let answer = client.answer(false).await;
        assert_same(&answer.body, &contents[at], &format!("file {at}"));
    }
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_sent_ends_the_connection() {
    for (len, cut) in [(300_000, 100_000), (8_000_000, 3_000_001), (8_000_000, 1 << 20), (8_000_000, 0)] {
        let server = Running::plain().await;
        let content = content(len);
        let id = server.store.add(&UploadKind::Appender, "bin", &content).to_string();
        *server.store.0.cut.lock().unwrap() = Some(cut);
        let mut client = server.connect().await;
        client.send(&format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        while client.fill().await {}
        let head = client.left.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        let body = &client.left[head..];
        assert!(body.len() < len, "the client hears that this is not all");
        assert_same(body, &content[..body.len()], "what came before the end");
        server.finish().await;
    }
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let server = Running::plain().await;
    let content = content(6_000_000);
    let id = server.store.add(&UploadKind::Normal, "bin", &content).to_string();
    for bytes in [0_usize, 1, 5000, 400_000, 3_000_000] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut read = vec![0; bytes];
        stream.read_exact(&mut read).await.unwrap();
        stream.set_zero_linger().unwrap();
    }
    let mut client = server.connect().await;
    assert_same(&get(&mut client, &id, "").await.body, &content, "afterwards");
    drop(client);
    server.finish().await;
}
