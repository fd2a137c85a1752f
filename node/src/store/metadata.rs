//! Metadata: `name 0x02 value` items joined by 0x01, sorted by name, in a file `NAME-m` beside the file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use gateway::files::WriteError;
use protocol::LogicName;
use protocol::metadata::{ITEM, MAX_NAME, MAX_VALUE, Metadata, VALUE};
use protocol::storage::MetadataMode;

use super::binlog::{Op, Record, Side};
use super::layout::unix_seconds;
use super::shelves::StorePath;
use super::temporary::Temporary;
use super::{Inner, ReadError, Reader, Store, io_failed, marks, read, read_failed};

/// Longer files were not made by any FastDFS: a request holds at most 256 KiB, a merge adds to that.
pub(super) const MAX_FILE: u64 = 16 << 20;

impl Store {
    /// Replaces or merges a file's metadata. Overwriting with nothing deletes it.
    pub async fn set_metadata(
        &self,
        name: &LogicName,
        mode: MetadataMode,
        text: Bytes,
    ) -> Result<(), WriteError> {
        self.0.counters.set_metas.asked(1);
        let of =
            name.metadata_name().map_err(|_| WriteError::Invalid("the name is too long to have metadata"))?;
        self.alter(name, move |inner, path, name| {
            // Under the lock: a delete must not leave metadata of nothing.
            inner.open(name).map_err(read_failed)?;
            inner.change_metadata(path, name, &of, mode, &text)
        })
        .await?;
        self.0.counters.set_metas.done(1);
        Ok(())
    }

    /// Replaces a file's metadata by what `edit` makes of it, under the file's lock; `edit` may refuse.
    pub async fn edit_metadata<N: Send + 'static>(
        &self,
        name: &LogicName,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        self.0.counters.set_metas.asked(1);
        let of =
            name.metadata_name().map_err(|_| WriteError::Invalid("the name is too long to have metadata"))?;
        let edited = self.alter(name, move |inner, path, name| {
            inner.open(name).map_err(read_failed)?;
            let old = match path.dir.open_read(of.true_name()) {
                Ok(file) => read::read_all(file, MAX_FILE),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
            let text = old.map_err(|error| io_failed("reading metadata", error))?;
            let old = Metadata::parse(&text);
            let new = match edit(&old) {
                Ok(new) => new,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if new != old {
                let text = rewritten(&text, &old, &new);
                inner.change_metadata(path, name, &of, MetadataMode::Overwrite, &text)?;
            }
            Ok(Ok(new))
        });
        let edited = edited.await?;
        if edited.is_ok() {
            self.0.counters.set_metas.done(1);
        }
        Ok(edited)
    }

    /// The stored text; `NotFound` if the file or its metadata does not exist.
    pub async fn metadata(&self, name: &LogicName) -> Result<Bytes, ReadError> {
        self.reader().metadata(name).await
    }
}

impl Reader {
    /// As [`Store::metadata`].
    pub async fn metadata(&self, name: &LogicName) -> Result<Bytes, ReadError> {
        let of = name.metadata_name().map_err(|_| ReadError::NotFound)?;
        self.open_file(name).await?;
        let path = Arc::clone(self.0.read_path(name)?);
        let pool_path = Arc::clone(&path);
        let text = pool_path
            .pool
            .run(move || read::read_all(path.dir.open_read(of.true_name())?, MAX_FILE))
            .await??;
        // FastDFS leaves a NUL and stale bytes where it dropped or cut items.
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        Ok(Bytes::from(text).slice(..end))
    }
}

impl Inner {
    /// Changes metadata and what its file says about it. Blocking; the caller holds the file's lock.
    fn change_metadata(
        &self,
        path: &Arc<StorePath>,
        name: &LogicName,
        of: &LogicName,
        mode: MetadataMode,
        text: &[u8],
    ) -> Result<(), WriteError> {
        if marks::says_something(text) {
            self.mark_before(path, name);
            self.note_expiry(&Metadata::parse(text), name, self.durability)?;
        }
        self.write_metadata(path, of, mode, text)?;
        self.mark(path, name);
        Ok(())
    }

    /// Blocking; the caller holds the file's lock.
    fn write_metadata(
        &self,
        path: &Arc<StorePath>,
        of: &LogicName,
        mode: MetadataMode,
        text: &[u8],
    ) -> Result<(), WriteError> {
        let old = match path.dir.open_read(of.true_name()) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_failed("opening metadata", error)),
        };
        let new = match (mode, &old) {
            (MetadataMode::Merge, _) if text.is_empty() => return Ok(()),
            (MetadataMode::Merge, Some(_)) => {
                let old = old.as_ref().map(File::try_clone).transpose().and_then(|file| match file {
                    Some(file) => read::read_all(file, MAX_FILE),
                    None => Ok(Vec::new()),
                });
                merge(&old.map_err(|error| io_failed("reading metadata", error))?, text)
            }
            _ => pack(items(text)),
        };
        let time = unix_seconds(SystemTime::now());
        if new.is_empty() {
            if old.is_some() {
                let record = Record { time, side: Side::Source, op: Op::Delete, name: of.as_str() };
                let _announced = self.announce(&record)?;
                path.dir.unlink(of.true_name()).map_err(|error| io_failed("deleting metadata", error))?;
            }
            return Ok(());
        }
        let mut temporary =
            Temporary::create_named(path).map_err(|error| io_failed("making a metadata file", error))?;
        let write = |mut file: &File| file.write_all(&new).and_then(|()| file.sync_data());
        write(temporary.file()).map_err(|error| io_failed("writing metadata", error))?;
        let op = if old.is_some() { Op::Update } else { Op::Create };
        let _announced = self.announce(&Record { time, side: Side::Source, op, name: of.as_str() })?;
        temporary.replace(of.true_name()).map_err(|error| io_failed("naming metadata", error))?;
        self.sync_name(&path.dir, of)
    }
}

type Item<'a> = (&'a [u8], &'a [u8]);

/// The items of a text, sorted by name: rows without a value separator are dropped, long parts are cut.
fn items(text: &[u8]) -> Vec<Item<'_>> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let rows = text[..end].split(|byte| *byte == ITEM);
    let mut items: Vec<Item<'_>> = rows
        .filter_map(|row| {
            let at = row.iter().position(|byte| *byte == VALUE)?;
            let (name, value) = (&row[..at], &row[at + 1..]);
            Some((&name[..name.len().min(MAX_NAME)], &value[..value.len().min(MAX_VALUE)]))
        })
        .collect();
    items.sort_by_key(|(name, _)| *name);
    items
}

/// The text of `new`. What it has of `old`, the meaning of `text`, keeps its bytes, which need not be UTF-8.
fn rewritten(text: &[u8], old: &Metadata, new: &Metadata) -> Vec<u8> {
    let kept = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        new.get(&name).is_some_and(|value| old.get(&name) == Some(value))
    };
    let mut rows: Vec<Item<'_>> = items(text).into_iter().filter(|(name, _)| kept(name)).collect();
    let is_new = |(name, value): &(&str, &str)| old.get(name) != Some(value);
    rows.extend(new.iter().filter(is_new).map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    rows.sort_by_key(|(name, _)| *name);
    pack(rows)
}

fn pack(items: Vec<Item<'_>>) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in items {
        if !text.is_empty() {
            text.push(ITEM);
        }
        text.extend_from_slice(name);
        text.push(VALUE);
        text.extend_from_slice(value);
    }
    text
}

/// Two sorted lists as one: of equal names the new value; further equal names of the new list are added.
fn merge(old: &[u8], new: &[u8]) -> Vec<u8> {
    let (old, new) = (items(old), items(new));
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let (mut olds, mut news) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        match (olds.peek(), news.peek()) {
            (Some(old), Some(new)) => match old.0.cmp(new.0) {
                std::cmp::Ordering::Less => merged.extend(olds.next()),
                std::cmp::Ordering::Equal => {
                    olds.next();
                    merged.extend(news.next());
                }
                std::cmp::Ordering::Greater => merged.extend(news.next()),
            },
            (Some(_), None) => merged.extend(olds.next()),
            (None, Some(_)) => merged.extend(news.next()),
            (None, None) => return pack(merged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(readable: &str) -> Vec<u8> {
        readable.replace('=', "\u{2}").replace('&', "\u{1}").into_bytes()
    }

    #[test]
    fn texts_are_sorted_cut_and_cleaned() {
        let check =
            |given: &str, stored: &str| assert_eq!(pack(items(&text(given))), text(stored), "{given}");
        check("", "");
        check("width=120&author=bob", "author=bob&width=120");
        check("a=1&dropped&b=2&", "a=1&b=2");
        check("dropped", "");
        check("a=1=2", "a=1=2");
        check("a=&=x", "=x&a=");
        check("b=1&a=2&b=0", "a=2&b=1&b=0");
        check("a=1\0b=2", "a=1");
        let (long_name, long_value) = ("n".repeat(80), "v".repeat(300));
        check(&format!("{long_name}={long_value}"), &format!("{}={}", &long_name[..64], &long_value[..256]));
    }

    #[test]
    fn what_is_not_edited_keeps_its_bytes() {
        // GBK, as many sites write it.
        let stored = b"author\x02\xd6\xd0\x01width\x02120";
        let old = Metadata::parse(stored);
        let mut new = old.clone();
        new.insert("width", "90").unwrap();
        new.insert("a", "1").unwrap();
        assert_eq!(rewritten(stored, &old, &new), b"a\x021\x01author\x02\xd6\xd0\x01width\x0290");
        new.remove("author");
        assert_eq!(rewritten(stored, &old, &new), b"a\x021\x01width\x0290");
    }

    #[test]
    fn merging_keeps_the_old_and_prefers_the_new() {
        let check = |old: &str, new: &str, merged: &str| {
            assert_eq!(merge(&text(old), &text(new)), text(merged), "{old} + {new}");
        };
        check("", "a=1", "a=1");
        check("a=1", "", "a=1");
        check("a=1&c=3", "b=2&c=4", "a=1&b=2&c=4");
        check("c=3", "c=4&c=5", "c=4&c=5");
        check("b=1", "a=0&z=9", "a=0&b=1&z=9");
    }
}
