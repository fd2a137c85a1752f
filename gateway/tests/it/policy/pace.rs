//! Bytes a second of one answer.

use std::time::{Duration, Instant};

use gateway::files::UploadKind;
use gateway::server::HttpLimits;

use super::settings;
use crate::sockets::Running;

/// Slower is the machine's fault, faster would be ours.
#[tokio::test]
async fn files_come_no_faster_than_the_site_says() {
    let server = Running::start(
        settings("http.limit_rate = 400k\nhttp.limit_rate_after = 100k"),
        HttpLimits::default(),
    )
    .await;
    let content: Vec<u8> = (0..=250).cycle().take(300 * 1024).collect();
    let id = server.store.add(&UploadKind::Normal, "jpg", &content).to_string();
    let mut client = server.connect().await;
    // On one connection: the first is done before the second begins.
    for (range, part) in [("", &content[..]), ("Range: bytes=1024-\r\n", &content[1024..])] {
        let start = Instant::now();
        client.send(&format!("GET /{id} HTTP/1.1\r\nHost: a\r\n{range}\r\n")).await;
        let answer = client.answer(false).await;
        assert!(answer.body == part);
        // 200 KB beyond the first 100, the last piece of which nobody waits for.
        assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
    }
    server.finish().await;
}
