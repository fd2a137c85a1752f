//! Slots that another member gives.

use std::sync::Arc;
use std::sync::Mutex;

use futures_util::future::{BoxFuture, FutureExt, ready};
use node::store::{Slot, TrunkClient};
use protocol::file_id::StorePathIndex;
use tokio_util::sync::CancellationToken;

use super::*;

/// A trunk server that is another store, with what it was told.
struct Other {
    server: Server,
    told: Mutex<Vec<&'static str>>,
    confirms: Result<(), Status>,
}

impl Other {
    fn new(confirms: Result<(), Status>) -> Arc<Self> {
        Arc::new(Self { server: Server::open("", ""), told: Mutex::default(), confirms })
    }

    fn tell<T>(&self, what: &'static str, answer: T) -> T {
        self.told.lock().expect("no test panics here").push(what);
        answer
    }

    fn told(&self) -> Vec<&'static str> {
        self.told.lock().expect("no test panics here").clone()
    }
}

impl TrunkClient for Other {
    fn allocate(&self, path: StorePathIndex, need: u32) -> BoxFuture<'_, Result<Slot, Status>> {
        ready(self.tell("allocate", self.server.store.trunk().allocate(path, need))).boxed()
    }

    fn confirm(&self, slot: Slot, outcome: Status) -> BoxFuture<'_, Result<(), Status>> {
        let what = match outcome {
            Status::OK => "used",
            Status::EEXIST => "occupied",
            _ => "unused",
        };
        let answer = match outcome {
            Status::OK => self.confirms.and_then(|()| self.server.store.trunk().confirm(&slot, outcome)),
            _ => self.server.store.trunk().confirm(&slot, outcome),
        };
        ready(self.tell(what, answer)).boxed()
    }

    fn free(&self, slot: Slot) -> BoxFuture<'_, Result<(), Status>> {
        ready(self.tell("free", self.server.store.trunk().free(&slot))).boxed()
    }
}

#[tokio::test]
async fn slots_of_another_member_are_filled_and_freed() {
    let (directory, other) = (tempfile::tempdir().unwrap(), Other::new(Ok(())));
    let store = open(directory.path(), "", "");
    store.trunk().follow(Some(Arc::clone(&other) as Arc<dyn TrunkClient>));
    let stop = CancellationToken::new();
    let running = tokio::spawn(store.trunk().give_back(stop.clone()));
    let name = put(&store, "of another").await;
    assert_eq!(slot(&name), TrunkSlot { file_id: 1, offset: 0, size: 256 });
    assert_eq!(member(&directory.path().join("data"), &name).unwrap(), b"of another");
    assert_eq!(other.told(), ["allocate", "used"]);
    store.delete(&name).await.unwrap();
    while other.server.store.trunk().free_bytes() < CONTAINER {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.told()[2..], ["free"]);

    // The other member does not know yet that a file of its own has been deleted here, and gives the same slot again.
    let found = LogicName::parse(&name.as_str().replace(&name.as_str()[53..], "1234567")).unwrap();
    let late = receive(&store, &found, "of another").await;
    assert_eq!(late, Outcome::Applied);
    let own = put(&store, "in the way").await;
    assert!(is_own(&own));
    assert_eq!(read(&store, &found).await.unwrap(), b"of another");
    while other.told().len() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.told()[3..], ["allocate", "occupied"]);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_the_other_member_does_not_confirm_becomes_a_file_of_its_own() {
    let (directory, other) = (tempfile::tempdir().unwrap(), Other::new(Err(Status::EIO)));
    let store = open(directory.path(), "", "");
    store.trunk().follow(Some(Arc::clone(&other) as Arc<dyn TrunkClient>));
    let stop = CancellationToken::new();
    let running = tokio::spawn(store.trunk().give_back(stop.clone()));
    let name = put(&store, "x").await;
    assert!(is_own(&name));
    assert_eq!(read(&store, &name).await.unwrap(), b"x");
    while other.told().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.told(), ["allocate", "used", "unused"]);
    stop.cancel();
    running.await.unwrap();
    let file = fs::read(directory.path().join("data/00/00/000001")).unwrap();
    assert!(file.iter().all(|byte| *byte == 0), "nothing of it is left");
}
