//! A member that hangs holds up neither uploads nor the other members, and gets everything when it is back.

use std::time::{Duration, Instant};

use crate::group::server::Make::Ours;
use crate::group::{Group, disk};
use crate::mixed::book::Book;
use crate::wait::until;

/// Far above what an upload takes on a loaded machine, and far below any timeout of the daemons.
const PROMPT: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_member_holds_up_nobody() {
    let group = Group::start(&[Ours], &[Ours; 3]).await;
    let client = group.client();
    let mut book = Book::default();
    book.upload(&client, group.native(0), 1_000).await;
    book.check(&group).await;

    group.nodes[2].freeze();
    // More than the kernel keeps for a connection that nobody reads.
    for length in (0..60).map(|number| if number % 4 == 0 { 700_000 } else { 4_096 }) {
        let start = Instant::now();
        let id = book.upload(&client, group.native(0), length).await;
        assert!(start.elapsed() < PROMPT, "an upload took {:?}", start.elapsed());
        let copy = disk::path(&group.nodes[1].base, id.name.as_str());
        until("copy on the member that is well", PROMPT, async || {
            if copy.is_file() { Ok(()) } else { Err(format!("no {}", copy.display())) }
        })
        .await;
    }
    group.nodes[2].thaw();
    book.check(&group).await;
}
