//! Counters of a storage: reported to trackers, kept in `<base_path>/data/storage_stat.dat` over restarts.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use protocol::cluster::StorageStats;
use protocol::daemon::replace_file;

use super::StoreError;
use super::name_maker::Turn;
use super::state_text::{StateText, put};

const FILE_NAME: &str = "storage_stat.dat";

/// What was asked for, and what of it was done.
#[derive(Debug, Default)]
pub struct Tally {
    total: AtomicI64,
    success: AtomicI64,
}

impl Tally {
    /// Something was asked for.
    pub fn asked(&self, amount: u64) {
        self.total.fetch_add(amount.cast_signed(), Ordering::Relaxed);
    }

    /// Something was done.
    pub fn done(&self, amount: u64) {
        self.success.fetch_add(amount.cast_signed(), Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($field:ident: $total:ident, $success:ident;)*) => {
        /// All counters.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(
                #[doc = concat!("`", stringify!($total), "` and `", stringify!($success), "`.")]
                pub $field: Tally,
            )*
            last_source_update: AtomicI64,
            last_sync_update: AtomicI64,
        }

        impl Counters {
            /// The counters as they are now; connections are the caller's to fill in.
            pub fn snapshot(&self) -> StorageStats {
                let get = |counter: &AtomicI64| counter.load(Ordering::Relaxed);
                StorageStats {
                    $($total: get(&self.$field.total), $success: get(&self.$field.success),)*
                    last_source_update: get(&self.last_source_update),
                    last_sync_update: get(&self.last_sync_update),
                    ..StorageStats::default()
                }
            }

            fn restore(text: &StateText<'_>) -> Self {
                let read = |key: &str| AtomicI64::new(text.number(key).unwrap_or(0));
                Self {
                    $($field: Tally { total: read(stringify!($total)), success: read(stringify!($success)) },)*
                    last_source_update: read("last_source_update"),
                    last_sync_update: read("last_sync_update"),
                }
            }
        }

        fn serialize(stats: &StorageStats, turn: Turn) -> String {
            let mut out = String::new();
            $(
                put(&mut out, stringify!($total), stats.$total);
                put(&mut out, stringify!($success), stats.$success);
                if stringify!($field) == "downloads" {
                    put(&mut out, "last_source_update", stats.last_source_update);
                    put(&mut out, "last_sync_update", stats.last_sync_update);
                }
            )*
            put(&mut out, "dist_path_index_high", turn.high);
            put(&mut out, "dist_path_index_low", turn.low);
            put(&mut out, "dist_write_file_count", turn.count);
            out
        }
    };
}

// In the order of the file.
counters! {
    uploads: total_upload_count, success_upload_count;
    appends: total_append_count, success_append_count;
    modifies: total_modify_count, success_modify_count;
    truncates: total_truncate_count, success_truncate_count;
    downloads: total_download_count, success_download_count;
    set_metas: total_set_meta_count, success_set_meta_count;
    deletes: total_delete_count, success_delete_count;
    get_metas: total_get_meta_count, success_get_meta_count;
    create_links: total_create_link_count, success_create_link_count;
    delete_links: total_delete_link_count, success_delete_link_count;
    upload_bytes: total_upload_bytes, success_upload_bytes;
    append_bytes: total_append_bytes, success_append_bytes;
    modify_bytes: total_modify_bytes, success_modify_bytes;
    download_bytes: total_download_bytes, success_download_bytes;
    sync_in_bytes: total_sync_in_bytes, success_sync_in_bytes;
    sync_out_bytes: total_sync_out_bytes, success_sync_out_bytes;
    file_opens: total_file_open_count, success_file_open_count;
    file_reads: total_file_read_count, success_file_read_count;
    file_writes: total_file_write_count, success_file_write_count;
}

impl Counters {
    /// Counts a whole download.
    pub fn downloaded(&self, bytes: u64) {
        self.downloads.asked(1);
        self.downloads.done(1);
        self.download_bytes.asked(bytes);
        self.download_bytes.done(bytes);
    }

    /// The counters of the last run, and whose turn the directories were at. What cannot be read counts as 0.
    pub(super) fn load(base_data: &Path) -> Result<(Self, Turn), StoreError> {
        let path = base_data.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = StateText::parse(&text);
        let part = |key: &str| text.number(key).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let turn = Turn {
            high: part("dist_path_index_high"),
            low: part("dist_path_index_low"),
            count: part("dist_write_file_count"),
        };
        Ok((Self::restore(&text), turn))
    }

    /// Replaces the file.
    pub(super) fn save(&self, base_data: &Path, turn: Turn) -> Result<(), StoreError> {
        let path = base_data.join(FILE_NAME);
        replace_file(&path, serialize(&self.snapshot(), turn).as_bytes())
            .map_err(StoreError::io("write", &path))
    }

    /// A client's write became visible.
    pub(super) fn last_source_update(&self, time: i64) {
        self.last_source_update.store(time, Ordering::Relaxed);
    }

    /// A member's write became visible here.
    pub(super) fn last_sync_update(&self, time: i64) {
        self.last_sync_update.store(time, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_reference_s_keys_and_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let counters = Counters::default();
        counters.uploads.asked(3);
        counters.uploads.done(2);
        counters.file_writes.done(7);
        counters.last_source_update(1_795_382_841);
        let turn = Turn { high: 1, low: 2, count: 3 };
        counters.save(directory.path(), turn).unwrap();
        let text = fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        let keys: Vec<&str> = text.lines().map(|line| line.split_once('=').unwrap().0).collect();
        assert_eq!(keys.len(), 43);
        assert_eq!(
            keys[9..13],
            ["success_download_count", "last_source_update", "last_sync_update", "total_set_meta_count"]
        );
        assert_eq!(keys[40..], ["dist_path_index_high", "dist_path_index_low", "dist_write_file_count"]);
        let (again, turn_again) = Counters::load(directory.path()).unwrap();
        assert_eq!((again.snapshot(), turn_again), (counters.snapshot(), turn));
    }

    #[test]
    fn rubbish_counts_as_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "rubbish", "total_upload_count=x\n\u{0}\u{1}"] {
            fs::write(directory.path().join(FILE_NAME), text).unwrap();
            let (counters, turn) = Counters::load(directory.path()).unwrap();
            assert_eq!((counters.snapshot(), turn), (StorageStats::default(), Turn::default()), "{text:?}");
        }
    }
}
