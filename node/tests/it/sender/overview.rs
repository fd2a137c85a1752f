//! `GET /v1/replication`: what operators see.

use std::time::Duration;

use protocol::cluster::StorageStatus;
use serde_json::{Value, json};

use crate::address::fresh;
use crate::sending::{Sending, wait_file};
use crate::taker::{Do, Kind, Taker};

async fn overview(sending: &Sending) -> Value {
    let answer = sending.node.http("GET /v1/replication HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains(" 200 ") && head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(body).expect("JSON")
}

/// Waits until the only sender is so; gives it.
async fn wait_sender(sending: &Sending, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = std::time::Instant::now();
    loop {
        let sender = overview(sending).await["senders"][0].clone();
        if is_so(&sender) {
            return sender;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{sender}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_shown_in_step_behind_and_out_of_reach() {
    let mut sending = Sending::start().await;
    let own = sending.node.ip.to_string();
    let nobody = json!({"id": own, "group": "group1", "binlog": {"index": 0, "offset": 0}, "senders": []});
    assert_eq!(overview(&sending).await, nobody);

    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    let id = sending.node.upload(b"first", "txt").await;
    sending.joined(&taker);
    wait_file(&taker, &id.name, b"first").await;
    sending.wait_in_step(taker.ip).await;
    let sender = wait_sender(&sending, |sender| sender["state"] == "in_step").await;
    let end = sending.node.binlog().len();
    assert_eq!(overview(&sending).await["binlog"], json!({"index": 0, "offset": end}));
    let expected = json!({
        "destination": taker.ip.to_string(), "state": "in_step", "trouble": null, "lag_seconds": 0, "files_to_go": 0,
        "bytes_to_go": 0, "per_second": sender["per_second"], "seconds_to_go": 0, "mark": {"index": 0, "offset": end},
        "dead_letters": 0, "first_dead_letters": []
    });
    assert_eq!(sender, expected);

    taker.script(|_| Do::Hold);
    for number in 0..5 {
        sending.node.upload(format!("later {number}").as_bytes(), "txt").await;
    }
    let is_behind = |sender: &Value| {
        sender["files_to_go"] == 5 && sender["lag_seconds"].as_i64().is_some_and(|lag| lag > 0)
    };
    let sender = wait_sender(&sending, |sender| sender["state"] == "behind" && is_behind(sender)).await;
    let bytes = sending.node.binlog().len() - end;
    assert_eq!((&sender["bytes_to_go"], &sender["mark"]["offset"]), (&json!(bytes), &json!(end)));

    // Whom no tracker has in service is behind all the same, and is after a restart.
    sending.node.stop().await;
    sending.members(&[(taker.ip, StorageStatus::OFFLINE)]);
    sending.node.start_again().await;
    wait_sender(&sending, |sender| sender["state"] == "waiting" && is_behind(sender)).await;

    let address = taker.ip;
    drop(taker);
    sending.members(&[(address, StorageStatus::ACTIVE)]);
    let sender = wait_sender(&sending, |sender| sender["state"] == "connecting" && is_behind(sender)).await;
    let sender = match sender["trouble"].is_null() {
        true => wait_sender(&sending, |sender| !sender["trouble"].is_null()).await,
        false => sender,
    };
    assert!(sender["trouble"].as_str().unwrap().contains(&address.to_string()), "{sender}");

    let answer = sending.node.http("POST /v1/replication HTTP/1.0\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.contains(" 405 ") && answer.contains("\r\nallow: GET,HEAD\r\n"), "{answer}");
    assert!(answer.contains("method_not_allowed"), "{answer}");
}
