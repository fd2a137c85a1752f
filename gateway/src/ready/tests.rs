use std::fs::File;

use futures_util::future::BoxFuture;

use super::*;
use crate::files::OpenFile;

fn version() -> Version {
    let file = tempfile::tempfile().unwrap();
    Version::of(&rustix::fs::fstat(&file).unwrap()).unwrap()
}

fn entry(path: &str, settings: &Arc<Settings>, content: Held) -> Entry {
    Entry {
        path: path.into(),
        settings: Arc::downgrade(settings),
        id: "group1/M00/00/00/fwAgAWsG2MmAOT6CAAAACo7fR3c525.jpg".parse().unwrap(),
        version: version(),
        headers: HeaderMap::new(),
        validators: Validators { etag: String::new(), modified: SystemTime::UNIX_EPOCH, mutable: false },
        content,
        len: 0,
        heads: Default::default(),
        is_used: AtomicBool::new(false),
        looked_at: AtomicU64::new(NEVER),
    }
}

fn small(len: usize) -> Held {
    Held::Small(vec![b'x'; len].into(), SystemTime::UNIX_EPOCH)
}

struct Open(OpenFile);

impl Source for Open {
    fn file(&self) -> &OpenFile {
        &self.0
    }

    fn read(self: Arc<Self>, _: u64, _: u64) -> BoxFuture<'static, std::io::Result<Bytes>> {
        panic!("nothing is read here")
    }
}

fn open() -> (Held, Weak<File>) {
    let file = Arc::new(tempfile::tempfile().unwrap());
    let weak = Arc::downgrade(&file);
    let modified = SystemTime::UNIX_EPOCH;
    let file = OpenFile { file, offset: 0, len: 0, modified, mutable: false, version: Some(version()) };
    (Held::Open(Arc::new(Open(file))), weak)
}

fn total(ready: &Ready) -> (usize, usize) {
    let shards = ready.0.shards.iter().map(|shard| shard.lock().unwrap());
    shards.fold((0, 0), |(bytes, open), shard| {
        assert_eq!(shard.entries.len(), shard.order.len());
        assert_eq!(shard.bytes, shard.order.iter().map(|entry| entry.bytes()).sum::<usize>());
        (bytes + shard.bytes, open + shard.open)
    })
}

#[tokio::test]
async fn memory_and_open_files_stay_bounded() {
    let settings = Arc::new(Settings::plain());
    let ready = Ready::with_room(SHARDS * 20_000, SHARDS * 3);
    let mut files = Vec::new();
    for at in 0..2_000 {
        let path = format!("/{at}");
        if at % 3 == 0 {
            let (content, file) = open();
            files.push(file);
            ready.keep(entry(&path, &settings, content));
        } else {
            ready.keep(entry(&path, &settings, small(at)));
        }
        assert!(ready.find(&path, &settings).is_some(), "the last one is there");
        let (bytes, open) = total(&ready);
        assert!(bytes <= SHARDS * 20_000 && open <= SHARDS * 3, "{bytes} {open}");
    }
    assert_eq!(files.iter().filter(|file| file.upgrade().is_some()).count(), total(&ready).1);
    ready.keep(entry("/big", &settings, small(30_000)));
    assert!(ready.find("/big", &settings).is_none(), "larger than all the room");
}

#[tokio::test]
async fn what_is_asked_for_stays_longest() {
    let settings = Arc::new(Settings::plain());
    let ready = Ready::with_room(SHARDS * 10 * (ENTRY + 100), 0);
    ready.keep(entry("/wanted", &settings, small(100)));
    for at in 0..5_000 {
        ready.keep(entry(&format!("/{at}"), &settings, small(100)));
        assert!(ready.find("/wanted", &settings).is_some(), "{at}");
    }
    assert!(ready.find("/0", &settings).is_none());
}

#[tokio::test]
async fn other_settings_find_nothing_of_the_old_ones() {
    let (old, new) = (Arc::new(Settings::plain()), Arc::new(Settings::plain()));
    let ready = Ready::with_room(1 << 20, 100);
    ready.keep(entry("/a", &old, small(10)));
    assert!(ready.find("/a", &old).is_some());
    assert!(ready.find("/a", &new).is_none());
    assert_eq!(total(&ready), (0, 0));
    ready.keep(entry("/a", &new, small(10)));
    ready.keep(entry("/a", &new, small(20)));
    assert_eq!(total(&ready), (20 + ENTRY, 0));
}

#[tokio::test(start_paused = true)]
async fn open_files_that_nobody_asks_for_are_closed() {
    let settings = Arc::new(Settings::plain());
    let ready = Ready::with_room(1 << 20, 100);
    let ((quiet, closed), (wanted, kept)) = (open(), open());
    ready.keep(entry("/quiet", &settings, quiet));
    ready.keep(entry("/wanted", &settings, wanted));
    ready.keep(entry("/small", &settings, small(10)));
    for _ in 0..5 {
        tokio::time::sleep(SWEEP / 2 + Duration::from_millis(1)).await;
        assert!(ready.find("/wanted", &settings).is_some());
    }
    assert!(closed.upgrade().is_none() && kept.upgrade().is_some());
    tokio::time::sleep(SWEEP * 3).await;
    assert!(kept.upgrade().is_none());
    assert_eq!(total(&ready), (10 + ENTRY, 0), "memory is kept");
    // It begins anew with the next file.
    let (again, closed) = open();
    ready.keep(entry("/quiet", &settings, again));
    tokio::time::sleep(SWEEP * 3).await;
    assert!(closed.upgrade().is_none());
}
