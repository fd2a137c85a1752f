//! A member that takes what the others send to it, as FastDFS's members or as fdfs's do, and keeps what came and how.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::sync::{
    DIALECT, SyncAppend, SyncDelete, SyncFile, SyncLink, SyncModify, SyncPair, SyncRange, SyncRename,
    SyncTruncate,
};
use protocol::wire::{Request, StreamRequest};
use protocol::{Command, FileId, GroupName, LogicName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

pub(crate) const OK: u8 = 0;
pub(crate) const MISSING: u8 = 2;
pub(crate) const PRESENT: u8 = 17;
pub(crate) const INVALID: u8 = 22;
pub(crate) const FULL: u8 = 28;

/// What kind of member it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    FastDfs,
    Fdfs,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// Connections are counted from 0.
    pub(crate) connection: usize,
    pub(crate) command: u8,
    /// The header's.
    pub(crate) status: u8,
    /// Time of the record.
    pub(crate) time: i32,
    /// Name of the file; the connection's owner for 9.
    pub(crate) name: String,
    /// Offset, old size; or the other name's length.
    pub(crate) numbers: Vec<u64>,
    pub(crate) other: String,
    pub(crate) content: Vec<u8>,
    pub(crate) at: Instant,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) command: u8,
    pub(crate) name: String,
    /// Time of the record.
    pub(crate) time: i32,
    pub(crate) status: u8,
    pub(crate) at: Instant,
}

/// A file of the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    File(Vec<u8>),
    Link(String),
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Do {
    /// It takes effect.
    Apply,
    /// It does not, and this is the answer.
    Answer(u8),
    /// To 22: the file has this size.
    Size(u64),
    /// It waits; asked again soon.
    Hold,
    /// The connection ends.
    HangUp,
}

type Script = Box<dyn Fn(&Push) -> Do + Send>;

struct State {
    files: BTreeMap<String, Held>,
    pushes: Vec<Push>,
    answers: Vec<Answered>,
    /// Connections that said whose they are.
    named: Vec<usize>,
    connections: usize,
    most_in_flight: usize,
    script: Script,
    /// Pause before every mebibyte of a body.
    pause: Duration,
}

/// A running member; when dropped, it ends with its connections.
pub(crate) struct Taker {
    pub(crate) ip: IpAddr,
    state: Arc<Mutex<State>>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Taker {
    /// Takes everything.
    pub(crate) async fn start(ip: IpAddr, kind: Kind) -> Self {
        let state = State {
            files: BTreeMap::new(),
            pushes: Vec::new(),
            answers: Vec::new(),
            named: Vec::new(),
            connections: 0,
            most_in_flight: 0,
            script: Box::new(|_| Do::Apply),
            pause: Duration::ZERO,
        };
        let taker = Self { ip, state: Arc::new(Mutex::new(state)), tasks: Arc::default() };
        let listener = TcpListener::bind(SocketAddr::new(ip, 23000)).await.expect("a fresh address");
        let (state, tasks) = (Arc::clone(&taker.state), Arc::clone(&taker.tasks));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut state = lock(&state);
                    state.connections += 1;
                    state.connections - 1
                };
                let serving = tokio::spawn(serve(Arc::clone(&state), kind, connection, stream));
                lock(&tasks).push(serving.abort_handle());
            }
        });
        lock(&taker.tasks).push(accepting.abort_handle());
        taker
    }

    /// Sets what is done with requests about files, 22 among them.
    pub(crate) fn script(&self, script: impl Fn(&Push) -> Do + Send + 'static) {
        lock(&self.state).script = Box::new(script);
    }

    /// Makes it slow: this is the pause before every mebibyte that it reads.
    pub(crate) fn slow_down(&self, pause: Duration) {
        lock(&self.state).pause = pause;
    }

    /// Gives it a file.
    pub(crate) fn put(&self, name: &LogicName, content: &[u8]) {
        lock(&self.state).files.insert(name.to_string(), Held::File(content.to_vec()));
    }

    /// What it has.
    pub(crate) fn files(&self) -> BTreeMap<String, Held> {
        lock(&self.state).files.clone()
    }

    /// What it has of a name.
    pub(crate) fn held(&self, name: &LogicName) -> Option<Held> {
        lock(&self.state).files.get(name.as_str()).cloned()
    }

    /// Whether it has this file.
    pub(crate) fn has(&self, name: &LogicName, content: &[u8]) -> bool {
        self.held(name) == Some(Held::File(content.to_vec()))
    }

    /// What came about files, in the order of arrival.
    pub(crate) fn pushes(&self) -> Vec<Push> {
        let about_files = |push: &Push| push.command != 9 && push.command != 111;
        lock(&self.state).pushes.iter().filter(|push| about_files(push)).cloned().collect()
    }

    /// Commands that came about a name, with what was answered, in order.
    pub(crate) fn talk(&self, name: &LogicName) -> Vec<(u8, u8)> {
        let state = lock(&self.state);
        let about = state.answers.iter().filter(|answer| answer.name == name.as_str());
        about.map(|answer| (answer.command, answer.status)).collect()
    }

    /// All answers about files, in order.
    pub(crate) fn answers(&self) -> Vec<Answered> {
        lock(&self.state).answers.clone()
    }

    /// Numbers of the connections that said whose they are.
    pub(crate) fn named(&self) -> Vec<usize> {
        lock(&self.state).named.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// The most requests of one connection that were not answered at a time.
    pub(crate) fn most_in_flight(&self) -> usize {
        lock(&self.state).most_in_flight
    }

    /// Forgets what came, not what it has.
    pub(crate) fn forget(&self) {
        let mut state = lock(&self.state);
        state.pushes.clear();
        state.answers.clear();
        state.named.clear();
        state.most_in_flight = 0;
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
    }
}

/// Reads ahead as far as the sender sends; another task answers in order.
async fn serve(state: Arc<Mutex<State>>, kind: Kind, connection: usize, stream: TcpStream) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let (give, mut take) = mpsc::unbounded_channel::<Push>();
    let in_flight = Arc::new(Mutex::new(0_usize));
    let answering = async {
        while let Some(push) = take.recv().await {
            let todo = loop {
                let todo = match push.command {
                    9 | 111 => Do::Apply,
                    _ => (lock(&state).script)(&push),
                };
                if todo != Do::Hold {
                    break todo;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            let (status, body) = match todo {
                Do::Apply => apply(&mut lock(&state), kind, &push),
                Do::Answer(status) => (status, Vec::new()),
                Do::Size(size) => (OK, file_info(size)),
                Do::Hold | Do::HangUp => return,
            };
            if push.command != 9 && push.command != 111 {
                let Push { command, name, time, .. } = push;
                lock(&state).answers.push(Answered { command, name, time, status, at: Instant::now() });
            }
            *lock(&in_flight) -= 1;
            let mut frame = (body.len() as u64).to_be_bytes().to_vec();
            frame.extend([100, status]);
            frame.extend(body);
            if writing.write_all(&frame).await.is_err() {
                return;
            }
        }
    };
    let receiving = async {
        while let Some(push) = next(&mut reading, connection, &state).await {
            let mut state = lock(&state);
            let mut in_flight = lock(&in_flight);
            *in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(*in_flight);
            if push.command == 9 {
                state.named.push(connection);
            }
            state.pushes.push(push.clone());
            let _ = give.send(push);
        }
    };
    tokio::select! {
        () = answering => {}
        () = receiving => {}
    }
}

/// The next request; `None` at the connection's end.
async fn next(
    stream: &mut (impl AsyncReadExt + Unpin),
    connection: usize,
    state: &Mutex<State>,
) -> Option<Push> {
    let mut head = [0; 10];
    stream.read_exact(&mut head).await.ok()?;
    let len = u64::from_be_bytes(*head.first_chunk().expect("10 bytes"));
    let mut body = vec![0; usize::try_from(len).expect("a test's file fits in memory")];
    let pause = lock(state).pause;
    for piece in body.chunks_mut(1 << 20) {
        if !pause.is_zero() && len >= 1 << 20 {
            tokio::time::sleep(pause).await;
        }
        stream.read_exact(piece).await.ok()?;
    }
    let (command, status) = (head[8], head[9]);
    if command == Command::QUIT.0 {
        return None;
    }
    Some(decode(connection, command, status, &body))
}

fn decode(connection: usize, command: u8, status: u8, body: &[u8]) -> Push {
    let whole = "senders send whole requests";
    let mut push = Push {
        connection,
        command,
        status,
        time: 0,
        name: String::new(),
        numbers: Vec::new(),
        other: String::new(),
        content: Vec::new(),
        at: Instant::now(),
    };
    let len = body.len() as u64;
    let mut range = |part: SyncRange, head: usize| {
        (push.time, push.name) = (part.time, part.name.to_string());
        push.numbers = vec![part.offset, part.len];
        push.content = body[head..].to_vec();
    };
    match command {
        9 => push.name = String::from_utf8_lossy(body).trim_end_matches('\0').to_owned(),
        16 | 18 => {
            let (file, head) = SyncFile::decode(body, len, status == OK).expect(whole).expect(whole);
            (push.time, push.name, push.numbers) = (file.time, file.name.to_string(), vec![file.size]);
            push.content = body[head..].to_vec();
        }
        17 => {
            let gone = SyncDelete::decode_body(body).expect(whole);
            (push.time, push.name) = (gone.time, gone.name.to_string());
        }
        25 => {
            let (part, head) = SyncAppend::decode_head(body, len).expect(whole).expect(whole);
            range(part.0, head);
        }
        35 => {
            let (part, head) = SyncModify::decode_head(body, len).expect(whole).expect(whole);
            range(part.0, head);
        }
        37 => {
            let cut = SyncTruncate::decode_body(body).expect(whole);
            (push.time, push.name) = (cut.time, cut.name.to_string());
            push.numbers = vec![cut.old_size, cut.new_size];
        }
        19 | 40 => {
            let pair: SyncPair = match command {
                19 => SyncLink::decode_body(body).expect(whole).0,
                _ => SyncRename::decode_body(body).expect(whole).0,
            };
            (push.time, push.name, push.other) = (pair.time, pair.dest.to_string(), pair.source.to_string());
        }
        22 => {
            let group = GroupName::parse("group1").expect("the tests' group");
            let name = String::from_utf8_lossy(body.get(16..).expect(whole));
            let id = FileId { group, name: LogicName::parse(&name).expect(whole) };
            push.name = id.name.to_string();
        }
        111 => {}
        other => panic!("senders do not send {other}"),
    }
    push
}

/// The answer to 22; senders look at the size.
fn file_info(size: u64) -> Vec<u8> {
    let mut body = size.to_be_bytes().to_vec();
    body.extend([0; 32]);
    body
}

/// What FastDFS's members do with a request: status and body of the answer.
fn apply(state: &mut State, kind: Kind, push: &Push) -> (u8, Vec<u8>) {
    let files = &mut state.files;
    let size = match files.get(&push.name) {
        Some(Held::File(content)) => Some(content.len() as u64),
        _ => None,
    };
    let number = |at: usize| push.numbers.get(at).copied().unwrap_or_default();
    let status = match push.command {
        9 => {
            let answer = if kind == Kind::Fdfs && push.status == 1 { DIALECT.to_vec() } else { Vec::new() };
            return (OK, answer);
        }
        16 | 18 if push.status != OK => PRESENT,
        16 if size == Some(number(0)) => PRESENT,
        16 | 18 => {
            files.insert(push.name.clone(), Held::File(push.content.clone()));
            OK
        }
        17 => files.remove(&push.name).map_or(MISSING, |_| OK),
        19 => {
            files.insert(push.name.clone(), Held::Link(push.other.clone()));
            OK
        }
        22 => match size {
            None => MISSING,
            Some(size) => return (OK, file_info(size)),
        },
        25 | 35 | 37 => match files.get_mut(&push.name) {
            Some(Held::File(content)) => change(content, push, number(0), number(1)),
            Some(Held::Link(_)) => PRESENT,
            None => MISSING,
        },
        40 if files.contains_key(&push.name) => PRESENT,
        40 => match files.remove(&push.other) {
            Some(held) => {
                files.insert(push.name.clone(), held);
                OK
            }
            None => MISSING,
        },
        _ => OK,
    };
    (status, Vec::new())
}

fn change(content: &mut Vec<u8>, push: &Push, first: u64, second: u64) -> u8 {
    let size = content.len() as u64;
    let at = |number: u64| usize::try_from(number).expect("a test's file fits in memory");
    match push.command {
        25 if size == first => {
            content.extend(&push.content);
            OK
        }
        25 if size >= first + second => PRESENT,
        35 if size >= first => {
            content.resize(at(size.max(first + second)), 0);
            content[at(first)..at(first + second)].copy_from_slice(&push.content);
            OK
        }
        25 | 35 => MISSING,
        _ if size != first => PRESENT,
        _ => {
            content.resize(at(second), 0);
            OK
        }
    }
}
