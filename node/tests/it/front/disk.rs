//! What is on the disk: every kind of file is served, nothing is changed, and what changes is seen at once.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use protocol::{FileId, GroupName};

use super::{Disk, Fronted, file};
use crate::remote::{body, header, status};

/// A member of a trunk file, and the slot that it is in: made by FastDFS 6.16.1.
const TRUNK: &str = "group1/M00/00/00/Ck0AKWsDXeeIXz12AAAABjY6MCAAAAAAQAAAAAAAAEA252.txt";
const HELLO: &[u8] = b"hello\n";

fn trunk_file(kind: u8, content: &[u8], id: &FileId) -> Vec<u8> {
    let code = id.name.code().expect("a name with a code");
    let mut slot = vec![kind];
    slot.extend(256u32.to_be_bytes());
    slot.extend(u32::try_from(content.len()).expect("short").to_be_bytes());
    slot.extend(code.crc32.to_be_bytes());
    slot.extend(code.timestamp.to_be_bytes());
    slot.extend(id.name.tail().expect("a tail").as_bytes());
    slot.extend_from_slice(content);
    slot.resize(4096, 0);
    slot
}

/// Everything below a directory: names, sizes, times.
fn listing(path: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(path).expect("a directory") {
        let path = entry.expect("it can be listed").path();
        let of = path.symlink_metadata().expect("it is there");
        all.insert(path.display().to_string(), (of.size(), of.mtime(), of.mtime_nsec()));
        if of.is_dir() {
            all.extend(listing(&path));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_file_is_served_and_nothing_is_written() {
    let disk = Disk::new();
    let normal = file("a normal file");
    disk.put(&normal, b"a normal file");
    let slave = FileId::parse(&normal.to_string().replace(".txt", "_small.txt")).expect("a slave's name");
    disk.put(&slave, b"a slave");
    let metadata = FileId::parse(&format!("{normal}-m")).expect("a name of metadata");
    disk.put(&metadata, b"k\x02v");
    let link = file("linked");
    std::os::unix::fs::symlink(disk.path(&normal.name), disk.path(&link.name)).expect("a link");
    let member = FileId::parse(TRUNK).expect("a name");
    std::fs::write(disk.path(&member.name).with_file_name("000001"), trunk_file(b'F', HELLO, &member))
        .expect("the directory is there");
    let before = listing(disk.0.path());

    let front = Fronted::over(&disk, "").await;
    let files =
        [(&normal, "a normal file"), (&slave, "a slave"), (&link, "a normal file"), (&member, "hello\n")];
    for (id, content) in files {
        for url in [format!("/{id}"), format!("/{}", id.name), format!("/{}/{}", id.group, id.name)] {
            let answer = front.ask("GET", &url).await;
            assert_eq!((status(&answer), body(&answer)), (200, content), "{url}: {answer}");
            let head = front.ask("HEAD", &url).await;
            assert_eq!(header(&head, "content-length"), Some(content.len().to_string().as_str()), "{head}");
        }
    }
    let part = front.ask("GET", &format!("/{normal} HTTP/1.0\r\nRange: bytes=2-7\r\nX:")).await;
    assert_eq!((status(&part), body(&part)), (206, "normal"), "{part}");

    assert_eq!(status(&front.get(&metadata).await), 404, "metadata is nobody's file");
    for path in ["/group1/M01/00/00/x", "/group1/M00/00/00/../../../etc/passwd", "/group2/M00/00/00/x", "/"] {
        assert_eq!(status(&front.ask("GET", path).await), 404, "{path}");
    }
    let upload = front.ask("POST", "/v1/files").await;
    assert!(status(&upload) == 403 && upload.contains("read_only"), "{upload}");
    let delete = front.ask("DELETE", &format!("/v1/files/{normal}")).await;
    assert!(status(&delete) == 403 && delete.contains("read_only"), "{delete}");
    for (method, path) in [
        ("PATCH", format!("/v1/files/{normal}")),
        ("POST", format!("/v1/files/{normal}/truncate?size=1")),
        ("POST", format!("/v1/files/{normal}/finish")),
        ("POST", format!("/v1/files/{normal}/slaves?prefix=_a")),
        ("POST", format!("/v1/files/{normal}/links")),
        ("PUT", format!("/v1/files/{normal}/metadata")),
        ("PATCH", format!("/v1/files/{normal}/metadata")),
        ("PUT", format!("/v1/files/{normal}/metadata/a")),
        ("DELETE", format!("/v1/files/{normal}/metadata/a")),
        ("PUT", "/v1/upload/a.txt".to_owned()),
        ("POST", "/v1/batch/delete".to_owned()),
    ] {
        let refused = front.ask(method, &path).await;
        assert!(status(&refused) == 403 && refused.contains("read_only"), "{method} {path}: {refused}");
    }
    let described = front.ask("GET", &format!("/v1/files/{normal}")).await;
    assert!(status(&described) == 200 && described.contains(r#""kind":"normal""#), "{described}");
    assert_eq!(status(&front.ask("GET", &format!("/v1/files/{normal}/metadata")).await), 200);
    let delete = front.ask("DELETE", &format!("/{normal}")).await;
    assert!(status(&delete) == 405 && !delete.contains("upload"), "{delete}");
    assert_eq!(status(&front.ask("GET", "/readyz").await), 200, "without trackers all there is is here");
    assert_eq!(listing(disk.0.path()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_storage_changes_is_seen_at_once() {
    let disk = Disk::new();
    let front = Fronted::over(&disk, "").await;
    let id = file("first");
    for content in ["first", "second, and longer", "x", &"large ".repeat(50_000)] {
        let next = disk.path(&id.name).with_extension("next");
        std::fs::write(&next, content).expect("the directory is there");
        std::fs::rename(&next, disk.path(&id.name)).expect("the directory is there");
        for _ in 0..3 {
            assert!(body(&front.get(&id).await) == content, "a file that was replaced");
        }
        std::fs::remove_file(disk.path(&id.name)).expect("it is there");
        assert_eq!(status(&front.get(&id).await), 404, "a file that was deleted");
    }
    // A slot of a trunk file that another file got.
    let member = FileId::parse(TRUNK).expect("a name");
    let container = disk.path(&member.name).with_file_name("000001");
    std::fs::write(&container, trunk_file(b'F', HELLO, &member)).expect("the directory is there");
    assert_eq!(body(&front.get(&member).await), "hello\n");
    let mut other = trunk_file(b'F', b"other\n", &member);
    other[9] ^= 1;
    std::fs::write(&container, other).expect("the directory is there");
    assert_eq!(status(&front.get(&member).await), 404, "its slot is another's now");
    // A member that only names another file.
    disk.put(&id, b"the target");
    let target = id.name.to_string();
    let size = u32::try_from(target.len()).expect("short");
    let code = member.name.code().expect("a name with a code");
    let named = protocol::file_id::NameCode {
        size: protocol::file_id::SizeField(code.size.0 & !0xFFFF_FFFF | u64::from(size)),
        ..code
    };
    let slot = match member.name.kind() {
        Ok(protocol::file_id::FileKind::Trunk(slot)) => slot,
        kind => panic!("{kind:?}"),
    };
    let tail = member.name.tail().expect("a tail");
    let linked = protocol::LogicName::make(
        protocol::file_id::StorePathIndex(0),
        member.name.sub_dir(),
        &named,
        Some(&slot),
        &tail,
    );
    let linked = FileId { group: member.group, name: linked };
    std::fs::write(&container, trunk_file(b'L', target.as_bytes(), &linked)).expect("the directory is there");
    assert_eq!(body(&front.get(&linked).await), "the target");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_followed_into_the_store_however_its_path_is_written_and_nowhere_else() {
    let disk = Disk::new();
    let (target, link, out) = (file("target"), file("linked"), file("out"));
    disk.put(&target, b"target");
    std::os::unix::fs::symlink(disk.path(&target.name), disk.path(&link.name)).expect("a link");
    let secret = disk.0.path().join("secret");
    std::fs::write(&secret, b"secret").expect("the directory is there");
    std::os::unix::fs::symlink(&secret, disk.path(&out.name)).expect("a link");
    // The same directory by another path, as where a disk was moved and its old place leads to it.
    let aliases = tempfile::tempdir().expect("a directory can be made");
    let alias = aliases.path().join("fdfs");
    std::os::unix::fs::symlink(disk.0.path(), &alias).expect("a link");
    let front = Fronted::start(&format!("group_name = group1\nstore_path0 = {}", alias.display())).await;
    assert_eq!(body(&front.get(&target).await), "target");
    assert_eq!(body(&front.get(&link).await), "target");
    assert_eq!(status(&front.get(&out).await), 404, "a link out of the store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_groups_have_their_own_disks() {
    let (one, two) = (Disk::new(), Disk::new());
    let of =
        |id: &FileId, group: &str| FileId { group: GroupName::parse(group).expect("a group"), ..id.clone() };
    let (a, b) = (file("of a"), file("of b"));
    one.put(&a, b"of a");
    two.put(&b, b"of b");
    let text = format!(
        "group_count = 2\n[group1]\ngroup_name = a\nstore_path0 = {}\n[group2]\ngroup_name = b\nstore_path0 = {}\n",
        one.0.path().display(),
        two.0.path().display(),
    );
    let front = Fronted::start(&text).await;
    assert_eq!(body(&front.get(&of(&a, "a")).await), "of a");
    assert_eq!(body(&front.get(&of(&b, "b")).await), "of b");
    assert_eq!(status(&front.get(&of(&b, "a")).await), 404);
    assert_eq!(body(&front.ask("GET", &format!("/{}", a.name)).await), "of a", "without a group, the first");
    assert_eq!(status(&front.ask("GET", &format!("/{}", b.name)).await), 404);
}
