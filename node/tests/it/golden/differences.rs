//! Where this node answers otherwise than FastDFS 6.16.1, and why.

use super::Conversation;
use crate::wire::Heard;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request is answered.
    Open,
    Closed,
    /// The server waits for what was announced.
    Waits,
}

/// An answer of ours.
pub(super) struct Ours {
    pub(super) status: Option<u8>,
    pub(super) body: &'static [u8],
    pub(super) after: After,
}

impl Ours {
    pub(super) fn heard(&self) -> Conversation {
        let answer = match (self.status, self.after) {
            (None, After::Closed) => Heard::Closed,
            (None, _) => Heard::Silence,
            (Some(status), _) => {
                let len = u64::try_from(self.body.len()).expect("a short body");
                let mut frame = len.to_be_bytes().to_vec();
                frame.extend([100, status]);
                frame.extend_from_slice(self.body);
                Heard::Frame(frame)
            }
        };
        Conversation { answer, after: self.after }
    }
}

/// A record that is not followed.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) ours: Ours,
    pub(super) why: &'static str,
}

/// The record whose answer depends on the disk: with more than 1 TiB free, both servers wait for the content.
pub(super) const HUGE_UPLOAD: &str = "storage/upload/1TiB-claim";

const ECHO: &str = "the reference sends the request's body back, which no client can use";
const PACKED: &str = "exactly what the text says is stored, without the stale bytes of a longer request";
const EARLY: &str = "refused at once instead of waiting for a body that cannot be taken";
const TRUNK: &str =
    "small files are kept as files here; new trunk slots are not made, and the recorded one is not there";

/// A name of 64 bytes and a value of 256, which is what metadata is cut to.
const CUT: [u8; 64 + 1 + 256] = {
    let mut text = [b'v'; 64 + 1 + 256];
    let mut at = 0;
    while at < 64 {
        text[at] = b'n';
        at += 1;
    }
    text[64] = 2;
    text
};

/// `group1` in its field, and a blanked name of 44 bytes.
const CREATED: [u8; 16 + 44] = {
    let mut body = [0; 16 + 44];
    let group = *b"group1";
    let mut at = 0;
    while at < group.len() {
        body[at] = group[at];
        at += 1;
    }
    body
};

const fn answers(name: &'static str, status: u8, body: &'static [u8], why: &'static str) -> Difference {
    Difference { name, ours: Ours { status: Some(status), body, after: After::Open }, why }
}

/// Refused while the announced body is still to come, which is waited for as long as the network timeout allows.
const fn early(name: &'static str, status: u8) -> Difference {
    Difference { name, ours: Ours { status: Some(status), body: &[], after: After::Waits }, why: EARLY }
}

/// All of them.
pub(super) const DIFFERENCES: &[Difference] = &[
    answers(
        "storage/download/name-with-nul",
        22,
        &[],
        "a name has no NUL; the reference takes what is before it and forgets the rest",
    ),
    answers("storage/download/empty-file", 0, &[], "an empty file that was taken can be read back"),
    answers("storage/get_metadata/long-fields", 0, &CUT, PACKED),
    answers("storage/get_metadata/after-no-field-separator", 2, &[], PACKED),
    answers("storage/get_metadata/after-trailing-separator", 0, b"a\x02b", PACKED),
    answers("storage/append/empty", 0, &[], ECHO),
    answers("storage/modify/empty", 0, &[], ECHO),
    answers("storage/truncate/same-size", 0, &[], ECHO),
    early("storage/oversize/download", 22),
    early("storage/oversize/max-int64", 22),
    early(HUGE_UPLOAD, 28),
    answers("storage/trunk-cmd/31-binlog-size", 22, &[], TRUNK),
    answers("storage/upload/trunk", 0, &CREATED, TRUNK),
    answers("storage/download/trunk", 2, &[], TRUNK),
    answers("storage/download/trunk/range", 2, &[], TRUNK),
    answers("storage/query_file_info/trunk", 2, &[], TRUNK),
    answers("storage/set_metadata/trunk", 2, &[], TRUNK),
    answers("storage/get_metadata/trunk", 2, &[], TRUNK),
    answers("storage/upload_slave/trunk", 2, &[], TRUNK),
    answers("storage/delete/trunk", 2, &[], TRUNK),
];
