//! Reading the recorded frames and file ids of `tests/golden`.

use serde_json::Value;

const FRAMES: &str = include_str!("../../../tests/golden/native-golden.jsonl");
const FILE_IDS: &str = include_str!("../../../tests/golden/file-ids.jsonl");

/// A recorded request and what it was answered.
pub struct Frame {
    pub name: String,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub status: Option<u8>,
}

fn lines(text: &'static str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// All recorded frames.
pub fn frames() -> Vec<Frame> {
    let all: Vec<_> = lines(FRAMES)
        .map(|line| Frame {
            name: line["name"].as_str().unwrap().to_owned(),
            request: bytes(&line["request_hex"]),
            response: bytes(&line["response_hex"]),
            status: line["status"].as_u64().map(|status| u8::try_from(status).unwrap()),
        })
        .collect();
    assert!(all.len() > 250, "the recorded frames are there");
    all
}

/// All recorded file ids.
pub fn file_ids() -> Vec<Value> {
    let all: Vec<_> = lines(FILE_IDS).collect();
    assert!(all.len() > 100, "the recorded ids are there");
    all
}
