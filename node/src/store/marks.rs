//! Marks of files whose metadata has to do with reading them, such as the name that a file had: a bit of the file's mode,
//! which every read sees anyway. Files without such metadata cost nothing more.
//!
//! The mark is set again at every change of the metadata, which changes the file's ctime: what is kept ready of the file is
//! then looked up anew. It is set before the metadata is there and taken away after it, so that it is never missing. A file
//! that comes to have none (copied by hand, without its mode) loses nothing but the name in its answers.

use std::fs::File;
use std::io;
use std::sync::Arc;

use gateway::files::MARK;
use protocol::LogicName;
use protocol::daemon::Chain;
use protocol::file_id::FileKind;
use protocol::metadata::{EXPIRES, FILE_NAME, Metadata};
use rustix::fs::{FileType, Mode, fchmod, fstat};

use super::metadata::MAX_FILE;
use super::shelves::{Reader, Shelves, StorePath};
use super::{Inner, read};

/// Whether reads have to look at metadata of this text.
pub(super) fn says_something(text: &[u8]) -> bool {
    is_wanted(&Metadata::parse(text))
}

fn is_wanted(metadata: &Metadata) -> bool {
    [FILE_NAME, EXPIRES].into_iter().any(|name| metadata.get(name).is_some())
}

/// Marks a file. Blocking.
pub(super) fn set(file: &File) -> io::Result<()> {
    change(file, true)
}

fn change(file: &File, is_marked: bool) -> io::Result<()> {
    let mode = fstat(file)?.st_mode & 0o7777;
    let mode = if is_marked { mode | MARK } else { mode & !MARK };
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}

/// The metadata of a file; empty without any. Blocking.
pub(super) fn described(path: &StorePath, name: &LogicName) -> io::Result<Metadata> {
    let Ok(of) = name.metadata_name() else { return Ok(Metadata::default()) };
    let text = match path.dir.open_read(of.true_name()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        outcome => read::read_all(outcome?, MAX_FILE)?,
    };
    Ok(Metadata::parse(&text))
}

impl Shelves {
    /// The metadata of a file, or if a link has none, of what it leads to. Blocking.
    fn described(&self, name: &LogicName) -> io::Result<Metadata> {
        let described = |name: &LogicName| match self.path(name.store_path()) {
            Some(path) => described(path, name),
            None => Ok(Metadata::default()),
        };
        let metadata = described(name)?;
        if !metadata.is_empty() || matches!(name.kind(), Ok(FileKind::Trunk(_))) {
            return Ok(metadata);
        }
        self.link_target(name).map_or(Ok(metadata), |target| described(&target))
    }
}

impl Reader {
    /// The metadata of a file that may have some which reads need; empty if it cannot be read.
    pub(crate) async fn described(&self, name: &LogicName) -> Metadata {
        let Some(path) = self.0.path(name.store_path()) else { return Metadata::default() };
        let (shelves, of) = (Arc::clone(&self.0), name.clone());
        match path.pool.run_short(move || shelves.described(&of)).await {
            Ok(Ok(metadata)) => metadata,
            Ok(Err(error)) => {
                tracing::warn!(%name, %error, "metadata cannot be read, the file is answered without it");
                Metadata::default()
            }
            Err(_) => Metadata::default(),
        }
    }
}

/// A mark that cannot be set costs a name in answers; that is no reason to fail. All blocking.
impl Inner {
    /// Marks a file as its metadata has it. The caller holds the file's lock and has changed the metadata.
    pub(super) fn mark(&self, path: &StorePath, name: &LogicName) {
        let marked = described(path, name).and_then(|metadata| mark_as(path, name, is_wanted(&metadata)));
        tell(name, marked);
    }

    /// Marks a file before its metadata changes to what has to do with reading it.
    pub(super) fn mark_before(&self, path: &StorePath, name: &LogicName) {
        tell(name, mark_as(path, name, true));
    }

    /// The same for what came from another member: a file, which is new, or metadata, which may be gone now.
    pub(super) fn mark_received(&self, path: &StorePath, name: &LogicName) {
        let file = name.metadata_owner();
        let of = file.as_ref().unwrap_or(name);
        match described(path, of) {
            Ok(metadata) => {
                self.note_received(&metadata, of);
                if file.is_some() || is_wanted(&metadata) {
                    tell(of, mark_as(path, of, is_wanted(&metadata)));
                }
            }
            Err(error) => tell(of, Err(error)),
        }
    }

    fn note_received(&self, metadata: &Metadata, name: &LogicName) {
        if let Err(error) = self.note_expiry(metadata, name, self.durability) {
            tracing::error!(%name, error = %Chain(&error), "when a file expires cannot be noted; its source deletes it");
        }
    }
}

fn tell(name: &LogicName, marked: io::Result<()>) {
    if let Err(error) = marked {
        tracing::warn!(%name, %error, "a file cannot be marked; its URL answers without the name that it had");
    }
}

fn mark_as(path: &StorePath, name: &LogicName, is_wanted: bool) -> io::Result<()> {
    let stat = match path.dir.stat(name.true_name()) {
        // Members of trunk files, and metadata that is here before its file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome?,
    };
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_marked = stat.st_mode & MARK != 0;
    if !is_file || !(is_wanted || is_marked) {
        return Ok(());
    }
    change(&path.dir.open_read(name.true_name())?, is_wanted)?;
    path.dir.took_name(name.true_name());
    Ok(())
}
