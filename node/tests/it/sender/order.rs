//! What happens to one file reaches a member in its order, whatever happens to others.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use protocol::FileId;
use protocol::storage::MetadataMode;

use crate::address::fresh;
use crate::sending::{Sending, wait};
use crate::taker::{Do, Held, Kind, Push, Taker};

fn slowly(push: &Push) -> Do {
    if push.at.elapsed() < Duration::from_millis(1) { Do::Hold } else { Do::Apply }
}

/// One file's life; gives what it is called in the end.
async fn live(sending: &Sending, number: usize) -> FileId {
    let id = sending.appender(format!("file {number} ").repeat(10).as_bytes()).await;
    for round in 0..4 {
        sending.append(&id.name, format!("round {round} ").repeat(number + 1).as_bytes()).await;
        sending.modify(&id.name, round * 7, b"MODIFIED").await;
        sending.metadata(&id, MetadataMode::Merge, &format!("round {round}")).await;
        sending.truncate(&id.name, 40 + round).await;
    }
    match number % 4 {
        0 => sending.rename(&id.name).await,
        1 => {
            sending.delete(&id).await;
            id
        }
        _ => id,
    }
}

/// Files and their metadata on the node: names without the store path, and what is in them.
fn stored(sending: &Sending, id: &FileId) -> Vec<(String, Vec<u8>)> {
    let names = [id.name.to_string(), format!("{}-m", id.name)];
    let path =
        |name: &str| sending.node.data().join(name.strip_prefix("M00/").expect("a name on store path 0"));
    names.into_iter().filter_map(|name| fs::read(path(&name)).ok().map(|content| (name, content))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_of_many_files_end_equal() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let sending = Arc::new(Sending::start().await);
        let taker = Taker::start(fresh(), kind).await;
        taker.script(slowly);
        sending.joined(&taker);
        let lives: Vec<_> = (0..12)
            .map(|number| {
                let sending = Arc::clone(&sending);
                tokio::spawn(async move { live(&sending, number).await })
            })
            .collect();
        let mut expected = Vec::new();
        for life in lives {
            let id = life.await.unwrap();
            expected
                .extend(stored(&sending, &id).into_iter().map(|(name, content)| (name, Held::File(content))));
        }
        assert!(expected.len() > 12, "{expected:?}");
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let held = || taker.files().into_iter().collect::<Vec<_>>();
        sending.wait_in_step(taker.ip).await;
        // The last answers may be on their way to the mark; what the member has is final.
        wait(|| held() == expected, || format!("{kind:?}: {:?}\n{expected:?}", held())).await;
        assert_eq!(sending.dead_letters(taker.ip), "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_keeps_the_order_of_each_file() {
    let sending = Sending::start().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        let id = sending.appender(format!("file {number} is long enough").as_bytes()).await;
        sending.append(&id.name, b" and longer").await;
        sending.modify(&id.name, 5, b"MODIFIED").await;
        sending.append(&id.name, b" and longest").await;
        ids.push(id);
    }
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    taker.script(slowly);
    sending.joined(&taker);
    sending.wait_in_step(taker.ip).await;
    assert!(taker.most_in_flight() > 1);
    for id in ids {
        let commands: Vec<u8> = taker.talk(&id.name).iter().map(|(command, _)| *command).collect();
        assert_eq!(commands, [16, 25, 35, 25], "{id}");
        let offsets = taker.pushes().into_iter().filter(|push| push.name == id.name.as_str());
        let offsets: Vec<u64> = offsets.map(|push| push.numbers[0]).collect();
        assert!(offsets[1] < offsets[3], "{offsets:?}");
        assert_eq!(taker.held(&id.name), Some(Held::File(fs::read(sending.node.path(&id)).unwrap())));
    }
}
