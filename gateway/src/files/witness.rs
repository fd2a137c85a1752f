//! Waiting until other members have what was stored here.

use std::future::Future;
use std::pin::Pin;

use protocol::FileId;

/// Hears what other members confirm from the moment that it was made, so that nothing is missed of what is committed after.
pub trait Witness: Send {
    /// Waits until so many other members have each of these files, or for as long as the node waits.
    fn confirm(
        self: Box<Self>,
        files: Vec<FileId>,
        members: u8,
    ) -> Pin<Box<dyn Future<Output = Confirmed> + Send>>;
}

/// What came of the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// All of them have the files.
    Yes,
    /// So many have: of each file at least. The others get it later.
    ByFewer(u8),
}

/// Of a node without other members.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Witness for Alone {
    fn confirm(self: Box<Self>, _: Vec<FileId>, _: u8) -> Pin<Box<dyn Future<Output = Confirmed> + Send>> {
        Box::pin(async { Confirmed::ByFewer(0) })
    }
}
