//! Disks that take their time.

use gateway::Settings;
use gateway::files::UploadKind;
use gateway::server::HttpLimits;

use crate::sockets::Running;

/// One runtime thread serves all connections here, as one nginx worker does.
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_up_only_who_asks_it() {
    let server = Running::start(Settings::plain(), HttpLimits::default()).await;
    let stuck = server.store.add(&UploadKind::Normal, "txt", b"on the disk that hangs");
    let fine = server.store.add(&UploadKind::Normal, "txt", b"on another");
    server.store.hang(Some(&stuck));
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.send(&format!("GET /{stuck} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        waiting.push(client);
    }
    let mut client = server.connect().await;
    for _ in 0..20 {
        client.send(&format!("GET /{fine} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(client.answer(false).await.body, b"on another");
    }
    server.store.hang(None);
    for mut client in waiting {
        assert_eq!(client.answer(false).await.body, b"on the disk that hangs");
    }
    server.finish().await;
}
