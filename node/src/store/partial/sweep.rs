//! Removes uploads whose time is over, and what kills left of others: content that has no state yet, states half written.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gateway::partials::PartialId;
use tracing::{info, warn};

use super::super::data_dir::DataDir;
use super::super::layout::unix_seconds;
use super::super::locks::Locks;
use super::super::{Inner, Store, StoreError};
use super::note::{self, Note};
use super::{DIR, content};

/// Content without a state that is older than this belongs to no upload that is just being made.
const GRACE: Duration = Duration::from_secs(3600);

impl Store {
    /// Removes the uploads whose time is over; those that somebody has stay. Of one whose state cannot be read nobody knows
    /// when that is: it goes `expiration` after anything was done to it.
    pub async fn sweep_partials(&self, expiration: Duration) {
        for path in &self.0.paths {
            let (store, on) = (Arc::clone(&self.0), Arc::clone(path));
            let swept = path.pool.run(move || sweep(&store, &on.dir, expiration, SystemTime::now())).await;
            match swept {
                Ok(Ok(0)) => {}
                Ok(Ok(count)) => {
                    info!(count, path = %path.dir.path().display(), "removed uploads that expired")
                }
                Ok(Err(error)) => {
                    warn!(path = %path.dir.path().display(), %error, "expired uploads cannot be removed, will be tried again");
                }
                Err(error) => warn!(%error, "expired uploads were not looked for"),
            }
        }
    }
}

/// Removes what kills left, at start, while nobody makes an upload. Blocking.
pub(in super::super) fn remove_leftovers(dir: &DataDir) -> Result<(), StoreError> {
    each(dir, |_, id, kind| match kind {
        "tmp" => dir.unlink(&Note::temporary(id)),
        "part" if is_missing(Note::load(dir, id)) => dir.unlink(&content::name(id)),
        _ => Ok(()),
    })
    .map_err(StoreError::io("remove what was left of uploads in", dir.path()))
}

/// The files of uploads, by their ends.
fn each(
    dir: &DataDir,
    mut visit: impl FnMut(&fs::DirEntry, PartialId, &str) -> io::Result<()>,
) -> io::Result<()> {
    let entries = match fs::read_dir(dir.path().join(DIR)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some((id, kind)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        if let Some(id) = PartialId::parse(id) {
            visit(&entry, id, kind)?;
        }
    }
    Ok(())
}

fn sweep(store: &Inner, dir: &DataDir, expiration: Duration, now: SystemTime) -> io::Result<usize> {
    let mut count = 0;
    each(dir, |entry, id, kind| {
        let mut unreadable = None;
        let is_over = match kind {
            "state" => match Note::load(dir, id) {
                Ok(note) => note.state.expires <= unix_seconds(now),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    unreadable = Some(error);
                    is_untouched(dir, id, expiration, now)
                }
                Err(_) => false,
            },
            "part" => is_older(entry.metadata(), GRACE, now) && is_missing(Note::load(dir, id)),
            _ => false,
        };
        if is_over && remove_unused(&store.partials, dir, id)? {
            match unreadable {
                Some(error) => {
                    warn!(%id, %error, path = %dir.path().display(), "the state of an upload cannot be read and nothing was done to it for long, removed it");
                }
                None => count += 1,
            }
        }
        Ok(())
    })?;
    Ok(count)
}

/// Whether nothing was written of an upload for so long.
fn is_untouched(dir: &DataDir, id: PartialId, age: Duration, now: SystemTime) -> bool {
    let metadata = |name: String| fs::metadata(dir.path().join(name));
    let (state, content) = (metadata(note::name(id)), metadata(content::name(id)));
    let is_gone = content.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    is_older(state, age, now) && (is_gone || is_older(content, age, now))
}

fn is_older(metadata: io::Result<fs::Metadata>, age: Duration, now: SystemTime) -> bool {
    let modified = metadata.and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|since| since > age))
}

fn is_missing(note: io::Result<Note>) -> bool {
    note.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Removes an upload unless somebody has it; looks at its time again when nobody can change it.
fn remove_unused(locks: &Locks<PartialId>, dir: &DataDir, id: PartialId) -> io::Result<bool> {
    let Some(_lock) = locks.try_lock(&id) else { return Ok(false) };
    let is_renewed =
        Note::load(dir, id).is_ok_and(|note| note.state.expires > unix_seconds(SystemTime::now()));
    if is_renewed {
        return Ok(false);
    }
    remove(dir, id).map(|()| true)
}

/// Removes all of an upload. The state goes last: without it nobody would find the rest for a while.
pub(super) fn remove(dir: &DataDir, id: PartialId) -> io::Result<()> {
    for removed in [dir.unlink(&content::name(id)), Note::remove(dir, id)] {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
