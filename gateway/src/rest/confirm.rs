//! `durability=replica:N`: an upload is answered when N other members have its files. All files of a request are waited for
//! together. If time runs out they stay, and go to the members as always; then the answer is no success, for who asks for
//! copies relies on them, but it names the files.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use protocol::FileId;
use protocol::metadata::Metadata;

use super::hand::Hand;
use super::prefer;
use super::terms::Terms;
use super::upload::Made;
use crate::files::{Confirmed, Files, Witness};
use crate::idempotency::{Answer, Unconfirmed};
use crate::problem::Problem;

/// Other members that have to confirm an upload: as many as the request or the configuration wants. What another member
/// carries out is its own to promise.
pub(super) fn needed<F: Files>(files: &F, hand: &Hand<F>, terms: &Terms) -> u8 {
    if hand.is_member() { 0 } else { needed_here(files, terms.promise.map_or(0, |promise| promise.replicas)) }
}

/// The same of what this node stores, when a request wants so many.
pub(super) fn needed_here<F: Files>(files: &F, wanted: u8) -> u8 {
    files.replicas().max(wanted)
}

/// Refuses what cannot be confirmed, before anything is stored.
pub(super) fn check_members<F: Files>(files: &F, needed: u8) -> Result<(), Problem> {
    if needed == 0 || files.members_in_service() >= needed {
        return Ok(());
    }
    let there = files.members_in_service();
    let detail = format!(
        "the upload is to be on {needed} other members before it is answered, and {there} are in service; nothing was \
         stored: try again later, or with a weaker durability"
    );
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_enough_replicas", detail))
}

/// A wait that begins before the commit.
pub(super) struct Confirming {
    witness: Box<dyn Witness>,
    needed: u8,
}

impl Confirming {
    /// None if nobody has to confirm anything.
    pub(super) fn begin<F: Files>(files: &F, needed: u8) -> Option<Self> {
        (needed > 0).then(|| Self { witness: files.witness(), needed })
    }

    /// Waits for the files that were made, and their metadata.
    pub(super) async fn wait_for(self, made: &[Made], terms: &Terms) -> Option<Unconfirmed> {
        let names = made.iter().flat_map(|(file, filename)| {
            let metadata = terms.metadata(filename.as_deref());
            std::iter::once(file.id.clone()).chain(metadata_of(&file.id, &metadata))
        });
        let files = made.iter().map(|(file, _)| file.id.to_string()).collect();
        self.wait(names.collect(), files).await
    }

    /// The same of one file.
    pub(super) async fn wait_for_one(self, made: &FileId, metadata: &Metadata) -> Option<Unconfirmed> {
        let names = std::iter::once(made.clone()).chain(metadata_of(made, metadata)).collect();
        self.wait(names, vec![made.to_string()]).await
    }

    async fn wait(self, names: Vec<FileId>, files: Vec<String>) -> Option<Unconfirmed> {
        match self.witness.confirm(names, self.needed).await {
            Confirmed::Yes => None,
            Confirmed::ByFewer(members) => Some(Unconfirmed { files, members, needed: self.needed }),
        }
    }
}

/// What the metadata of a file is called, if it has any.
fn metadata_of(file: &FileId, metadata: &Metadata) -> Option<FileId> {
    let name = file.name.metadata_name().ok().filter(|_| !metadata.is_empty())?;
    Some(FileId { group: file.group, name })
}

/// Waits for files that were stored earlier.
pub(super) async fn wait_again<F: Files>(files: &F, made: Vec<String>, needed: u8) -> Option<Unconfirmed> {
    if needed == 0 {
        return None;
    }
    let ids: Vec<FileId> = made.iter().filter_map(|id| FileId::parse(id).ok()).collect();
    let witness = files.witness_again(&ids).await;
    Confirming { witness, needed }.wait(ids, made).await
}

/// The answer to an upload that is sent again: what had not been confirmed may be so by now, or need not be.
pub(super) async fn answer_again<F: Files>(files: &F, answer: Answer, needed: u8, terms: &Terms) -> Answer {
    let Some(before) = answer.unconfirmed else { return answer };
    let unconfirmed = wait_again(files, before.files, needed).await;
    let applied = terms.promise.map(prefer::applied);
    Answer { unconfirmed, applied, ..answer }
}

/// 504: the files are there, and not everywhere where they have to be.
pub(super) fn problem(unconfirmed: &Unconfirmed) -> Problem {
    let Unconfirmed { files, members, needed } = unconfirmed;
    let detail = format!(
        "stored on this node and on its way to the others, but in time {members} of the {needed} members that have to \
         confirm it did so; do not upload it again without its Idempotency-Key, with which the same request waits on; \
         GET /v1/files/ID/holders tells who has it"
    );
    let problem =
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_confirmed", detail).with_files(files.clone());
    match &files[..] {
        [one] => match HeaderValue::try_from(format!("/{one}")) {
            Ok(location) => problem.with_header(LOCATION, location),
            Err(_) => problem,
        },
        _ => problem,
    }
}
