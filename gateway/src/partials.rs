//! Uploads that are continued request by request: what the gateway asks of a store that keeps them.
//!
//! What has arrived lies aside, has no file ID and is nobody's to read, until all of it is there: then it is committed as
//! any other upload is. Who knows the id of an upload may go on with it, so ids are random.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use crate::files::{Committed, UploadSpec, WriteError};

/// Names an upload: 32 lower-case hex digits, of which the store may take some for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialId([u8; 16]);

impl PartialId {
    /// The id of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What a URL says; `None` if it is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut bytes = [0; 16];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for PartialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// What an upload becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A file.
    Whole,
    /// A piece of another upload.
    Part,
    /// A file, joined from pieces: the `Upload-Concat` of its creation.
    Joined(String),
}

/// When all of an upload is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// With the last byte of its length (tus).
    AtLength,
    /// When the client says so (the IETF draft).
    WhenSaid,
}

/// What the creation of an upload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialSpec {
    /// The file that it becomes. `len` is the length of the whole, if it is known.
    pub upload: UploadSpec,
    /// Whether it becomes a file at all.
    pub role: Role,
    /// When it is complete.
    pub completion: Completion,
    /// Other members that its creation wanted to have the file before the last answer.
    pub replicas: u8,
    /// `Upload-Metadata` as the client wrote it: visible ASCII.
    pub told: Option<String>,
    /// Whose it is: [`crate::authority::Grant::who`].
    pub owner: String,
}

/// Where an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialState {
    /// What its creation said, with the length that was told since.
    pub spec: PartialSpec,
    /// Bytes that are here.
    pub offset: u64,
    /// Unix seconds after which it may be forgotten.
    pub expires: i64,
    /// The file that it has become.
    pub stored: Option<Committed>,
}

impl PartialState {
    /// Bytes that are still to come, if the length is known.
    pub fn left(&self) -> Option<u64> {
        self.spec.upload.len.map(|len| len.saturating_sub(self.offset))
    }
}

/// A store's uploads that are continued.
pub trait Partials: Send + Sync + 'static {
    /// One of them, which nobody else has meanwhile.
    type Partial: Partial;

    /// Begins an upload. Its space is tested as that of any other.
    fn create(
        &self,
        spec: PartialSpec,
        expires: i64,
    ) -> impl Future<Output = Result<Self::Partial, WriteError>> + Send;

    /// Opens an upload, also one that has become a file; waits until nobody else has it.
    fn open(&self, id: PartialId) -> impl Future<Output = Result<Self::Partial, WriteError>> + Send;

    /// Looks at an upload that others may have.
    fn look(&self, id: PartialId) -> impl Future<Output = Result<PartialState, WriteError>> + Send;
}

/// An upload that is open. Dropped, it stays, with all that was written; a failed call ends this use of it.
pub trait Partial: Send + 'static {
    /// Its name.
    fn id(&self) -> PartialId;

    /// Where it is.
    fn state(&self) -> &PartialState;

    /// Appends content, which is kept from then on, whatever happens to the process.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// What is written from now on counts only after [`Partial::settle`]; else the next use does not find it.
    fn hold(&mut self) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Ends [`Partial::hold`]: what was written since then counts, or is gone.
    fn settle(&mut self, held: Held) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Appends the content of a part.
    fn append(&mut self, part: &mut Self) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Sets the length, if one is given, and the time until which the upload is remembered; with durable storage, puts
    /// what is here on the disk.
    fn save(&mut self, len: Option<u64>, expires: i64)
    -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Makes it the file that its creation asked for.
    fn commit(&mut self, expires: i64) -> impl Future<Output = Result<Committed, WriteError>> + Send;

    /// Forgets it, with all of its content. The file that it has become stays.
    fn remove(self) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// What becomes of content that was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It counts.
    Kept,
    /// It is gone.
    Dropped,
}

/// A store that keeps none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPartials;

/// There is none.
#[derive(Debug)]
pub enum NoPartial {}

const NONE: WriteError = WriteError::Invalid("no uploads are kept here");

impl Partials for NoPartials {
    type Partial = NoPartial;

    async fn create(&self, _spec: PartialSpec, _expires: i64) -> Result<NoPartial, WriteError> {
        Err(NONE)
    }

    async fn open(&self, _id: PartialId) -> Result<NoPartial, WriteError> {
        Err(NONE)
    }

    async fn look(&self, _id: PartialId) -> Result<PartialState, WriteError> {
        Err(NONE)
    }
}

impl Partial for NoPartial {
    fn id(&self) -> PartialId {
        match *self {}
    }

    fn state(&self) -> &PartialState {
        match *self {}
    }

    async fn write(&mut self, _chunk: Bytes) -> Result<(), WriteError> {
        match *self {}
    }

    async fn hold(&mut self) -> Result<(), WriteError> {
        match *self {}
    }

    async fn settle(&mut self, _held: Held) -> Result<(), WriteError> {
        match *self {}
    }

    async fn append(&mut self, _part: &mut Self) -> Result<(), WriteError> {
        match *self {}
    }

    async fn save(&mut self, _len: Option<u64>, _expires: i64) -> Result<(), WriteError> {
        match *self {}
    }

    async fn commit(&mut self, _expires: i64) -> Result<Committed, WriteError> {
        match *self {}
    }

    async fn remove(self) -> Result<(), WriteError> {
        match self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_small_hex_digits() {
        let text = "00ff0123456789abcdef0123456789ab";
        assert_eq!(PartialId::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "00ff",
            "00FF0123456789abcdef0123456789ab",
            "00ff0123456789abcdef0123456789a",
            "00ff0123456789abcdef0123456789abc",
            "../../../../../../../../../../etc",
            "00ff0123456789abcdef0123456789ag",
            "00ff0123456789abcdef0123456789\u{e9}",
        ] {
            assert_eq!(PartialId::parse(bad), None, "{bad}");
        }
    }
}
