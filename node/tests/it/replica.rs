//! What other members of the group send: every row of the tables of their commands, over a socket.

mod answers;
mod damage;
mod files;
mod kinds;
mod times;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::running::Running;
use crate::wire::{Heard, Wire, whole};

/// When the records of these tests were made, at a source whose clock is behind.
const TIME: i32 = 1_795_382_841;
const NORMAL: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";
const OTHER: &str = "M00/00/00/Ck0AC2sDXE6AdYefAAAABjY6MCA104.txt";
const APPENDER: &str = "M00/00/03/Ck0AC2sDXmuERLftAAAAAJsNCPE875.log";
const RENAMED: &str = "M00/00/03/Ck0AC2sDXnOAcb2gAAAAByV3lHk875.log";
const TRUNK: &str = "M00/00/00/Ck0AKWsDXeeIXz12AAAABjY6MCAAAAAAQAAAAAAAAEA252.txt";
const OK: u8 = 0;
const MISSING: u8 = 2;
const PRESENT: u8 = 17;
const INVALID: u8 = 22;
const PATIENCE: Duration = Duration::from_secs(20);

fn number(number: usize) -> [u8; 8] {
    u64::try_from(number).expect("a length").to_be_bytes()
}

/// As C members send it: behind the group's name lies what was on their stack.
fn group() -> Vec<u8> {
    b"group1\0garbage~~".to_vec()
}

/// 16 and 18.
fn file(command: u8, name: &str, time: i32, content: &[u8]) -> Vec<u8> {
    let head = [&number(name.len())[..], &number(content.len()), &time.to_be_bytes(), &group()].concat();
    whole(command, &[&head, name.as_bytes(), content].concat())
}

/// 16 and 18 for a file that the sender knows to be there: no content.
fn known(command: u8, name: &str, time: i32, size: usize) -> Vec<u8> {
    let head = [&number(name.len())[..], &number(size), &time.to_be_bytes(), &group()].concat();
    let mut frame = whole(command, &[&head, name.as_bytes()].concat());
    frame[9] = PRESENT;
    frame
}

/// 17.
fn delete(name: &str, time: i32) -> Vec<u8> {
    whole(17, &[&time.to_be_bytes()[..], &group(), name.as_bytes()].concat())
}

/// 25 and 35.
fn part(command: u8, name: &str, offset: usize, time: i32, content: &[u8]) -> Vec<u8> {
    let numbers = [number(name.len()), number(offset), number(content.len())].concat();
    let head = [&numbers[..], &time.to_be_bytes(), &group()].concat();
    whole(command, &[&head, name.as_bytes(), content].concat())
}

/// 37.
fn truncate(name: &str, old: usize, new: usize, time: i32) -> Vec<u8> {
    let numbers = [number(name.len()), number(old), number(new)].concat();
    whole(37, &[&numbers[..], &time.to_be_bytes(), &group(), name.as_bytes()].concat())
}

/// 19 and 40.
fn pair(command: u8, dest: &str, source: &str, time: i32) -> Vec<u8> {
    let numbers = [number(dest.len()), number(source.len())].concat();
    let head = [&numbers[..], &time.to_be_bytes(), &group()].concat();
    whole(command, &[&head, dest.as_bytes(), source.as_bytes()].concat())
}

/// Another member at work on one connection, and how much of the binlog was compared.
struct Member<'a> {
    node: &'a Running,
    wire: Wire,
    seen: usize,
}

impl<'a> Member<'a> {
    async fn of(node: &'a Running) -> Self {
        let mut member = Self { node, wire: Wire::open(node.address).await, seen: node.binlog().len() };
        assert_eq!(member.ask(&whole(9, b"127.0.0.9\0garbage")).await, INVALID, "17 bytes are no id");
        assert_eq!(member.ask(&whole(9, b"127.0.0.9\0rubble")).await, OK);
        member
    }

    /// Sends a request and gives the status of its answer, which has no body.
    async fn ask(&mut self, bytes: &[u8]) -> u8 {
        self.wire.send(bytes).await;
        self.answer().await
    }

    async fn answer(&mut self) -> u8 {
        match self.wire.hear(PATIENCE).await {
            Heard::Frame(frame) => {
                assert_eq!(frame[..9], [0, 0, 0, 0, 0, 0, 0, 0, 100]);
                frame[9]
            }
            heard => panic!("{heard:?}"),
        }
    }

    /// The binlog's new lines are these.
    fn logged(&mut self, expected: &[String]) {
        let binlog = self.node.binlog();
        assert_eq!(binlog[self.seen..].lines().collect::<Vec<_>>(), expected);
        self.seen = binlog.len();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.node.data().join(name.strip_prefix("M00/").expect("a name on store path 0"))
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is there")
    }

    /// Time of the last change, as the source had it.
    fn time(&self, name: &str) -> i64 {
        fs::symlink_metadata(self.path(name)).expect("the file is there").mtime()
    }

    fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }
}
