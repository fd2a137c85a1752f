//! The records, and the names that take the place of recorded ones.

use std::net::IpAddr;

use protocol::FileId;
use serde_json::Value;

use super::differences::After;

const RECORDS: &str = include_str!("../../../../tests/golden/native-golden.jsonl");
/// Group field and header before the name in an answer that gives one.
const NAME_AT: usize = 26;
/// Length of an independent file's name, in short store paths.
const NAME_LEN: usize = 44;
const BODY_AT: usize = 10;
/// Where a file's information has its source address.
const SOURCE_AT: usize = BODY_AT + 24;

/// One request and its answer.
pub(super) struct Record {
    pub(super) name: String,
    pub(super) request: Vec<u8>,
    /// Header and body; empty if nothing came.
    pub(super) response: Vec<u8>,
    pub(super) status: Option<u64>,
    after: String,
    volatile: Vec<(usize, Option<usize>)>,
}

/// All records of storages, in the order of their making.
pub(super) fn all() -> Vec<Record> {
    let records = RECORDS.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line"));
    records.filter(|record: &Value| record["role"] == "storage").map(|record| Record::read(&record)).collect()
}

impl Record {
    fn read(record: &Value) -> Self {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let range = |range: &Value| {
            let start = range[0].as_u64().and_then(|at| usize::try_from(at).ok()).expect("a start");
            (start, range[1].as_u64().and_then(|at| usize::try_from(at).ok()))
        };
        Self {
            name: text("name"),
            request: bytes(&text("request_hex")),
            response: bytes(&text("response_hex")),
            status: record["status"].as_u64(),
            after: text("conn_after"),
            volatile: record["volatile"].as_array().expect("a list").iter().map(range).collect(),
        }
    }

    /// Recorded in the cluster whose address fields have 46 bytes.
    pub(super) fn is_wide(&self) -> bool {
        self.name.ends_with("/ipv6-size")
    }

    /// Recorded in the cluster with storage ids.
    pub(super) fn has_ids(&self) -> bool {
        self.name.ends_with("/storage-id-mode")
    }

    /// The recorder sent no more after this request.
    pub(super) fn half_closes(&self) -> bool {
        self.name.ends_with("/body-cut-off")
    }

    /// What became of the recorded connection.
    pub(super) fn after(&self) -> After {
        match self.after.as_str() {
            "open" => After::Open,
            "no response (server keeps waiting)" => After::Waits,
            closed => {
                assert!(closed.starts_with("closed"), "{closed}");
                After::Closed
            }
        }
    }

    /// Puts zeros where a frame changes from run to run.
    pub(super) fn blank(&self, frame: &mut [u8]) {
        for (start, end) in &self.volatile {
            let end = end.unwrap_or(frame.len()).min(frame.len());
            if let Some(part) = frame.get_mut(*start..end) {
                part.fill(0);
            }
        }
    }

    /// `response` with `ip` in place of the recorded storage's address.
    pub(super) fn with_source(&self, response: &[u8], ip: IpAddr) -> Vec<u8> {
        let mut response = response.to_vec();
        if self.name.starts_with("storage/query_file_info") && response.len() > SOURCE_AT {
            let field = &mut response[SOURCE_AT..];
            assert!(field.starts_with(b"10.77.0."));
            field.fill(0);
            let text = ip.to_string();
            field[..text.len()].copy_from_slice(text.as_bytes());
        }
        response
    }
}

/// Recorded names and this run's, without their extensions: names of slaves begin with these.
#[derive(Default)]
pub(super) struct Names(Vec<(Vec<u8>, Vec<u8>)>);

impl Names {
    /// Takes `id` for the file whose recorded name is `recorded`.
    pub(super) fn learn(&mut self, recorded: &str, id: &FileId) {
        let own = id.name.as_str();
        assert_eq!((recorded.len(), own.len()), (NAME_LEN, NAME_LEN), "{recorded} {own}");
        self.push(recorded.as_bytes(), own.as_bytes());
    }

    /// Takes the name in `frame` for the one that was recorded, if both give names that chance made.
    pub(super) fn learn_answer(&mut self, record: &Record, frame: &[u8]) {
        let names = record.volatile.iter().any(|(start, _)| *start == NAME_AT);
        let ends = [record.response.get(NAME_AT..), frame.get(NAME_AT..)];
        if let (true, [Some(recorded), Some(own)]) = (names, ends)
            && own.len() == recorded.len()
        {
            self.push(recorded, own);
        }
    }

    fn push(&mut self, recorded: &[u8], own: &[u8]) {
        let (from, to) = (stem(recorded), stem(own));
        let [recorded, own] = [recorded, own].map(String::from_utf8_lossy);
        assert_eq!(from.len(), to.len(), "the extension of {own} is as long as that of {recorded}");
        self.0.push((from.to_vec(), to.to_vec()));
    }

    /// `bytes` with this run's names.
    pub(super) fn own(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (recorded, own) in &self.0 {
            for at in 0..bytes.len().saturating_sub(recorded.len() - 1) {
                if bytes[at..].starts_with(recorded) {
                    bytes[at..at + own.len()].copy_from_slice(own);
                }
            }
        }
        bytes
    }
}

/// What a name has before its extension.
fn stem(name: &[u8]) -> &[u8] {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    &name[..dot.unwrap_or(name.len())]
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}
