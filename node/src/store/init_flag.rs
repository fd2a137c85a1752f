//! `<base_path>/data/.data_init_flag`: what this node is in its group, and the marks of its store paths.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::daemon::replace_file;

use super::StoreError;
use super::state_text::{StateText, put};

const FILE_NAME: &str = ".data_init_flag";

/// The node's state of membership.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitFlag {
    /// Unix seconds of the first start.
    pub join_time: i64,
    /// Whether the copy of old files was arranged with the trackers and is done.
    pub sync_old_done: bool,
    /// Member that feeds us old files; empty if nobody does.
    pub sync_src_server: String,
    /// Files up to this time come from that member, unix seconds.
    pub sync_until_timestamp: i64,
    /// Own addresses when last seen, comma separated.
    pub last_ip_addr: String,
    /// Own native port.
    pub last_server_port: u16,
    /// Highest trunk file number allocated.
    pub current_trunk_file_id: i64,
    /// Unix seconds.
    pub trunk_last_compress_time: i64,
    /// 0 to 9.
    pub trunk_binlog_compress_stage: i64,
    /// Mark of each store path, by index.
    pub store_path_marks: Vec<Option<String>>,
}

fn file(base_data: &Path) -> PathBuf {
    base_data.join(FILE_NAME)
}

impl InitFlag {
    /// Reads the file; `None` if there is none.
    pub(super) fn load(base_data: &Path, store_paths: usize) -> Result<Option<Self>, StoreError> {
        let path = file(base_data);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        Self::parse(&text, store_paths).map(Some).map_err(|key| StoreError::State {
            path: path.display().to_string(),
            reason: format!(
                "{key} is missing; restore the file from a backup, or, if this node is to join anew, remove it and \
                 the .fastdfs_vars of every store path"
            ),
        })
    }

    fn parse(text: &str, store_paths: usize) -> Result<Self, &'static str> {
        let text = StateText::parse(text);
        let need = |key: &'static str| text.text(key).ok_or(key);
        need("storage_join_time")?;
        need("sync_old_done")?;
        let number = |key: &str| text.number(key).unwrap_or(0);
        let mark = |index: usize| {
            text.text(&format!("store_path_mark{index}")).filter(|mark| !mark.is_empty()).map(str::to_owned)
        };
        Ok(Self {
            join_time: number("storage_join_time"),
            sync_old_done: number("sync_old_done") != 0,
            sync_src_server: need("sync_src_server")?.to_owned(),
            sync_until_timestamp: number("sync_until_timestamp"),
            last_ip_addr: text.text("last_ip_addr").unwrap_or_default().to_owned(),
            last_server_port: u16::try_from(number("last_server_port")).unwrap_or(0),
            current_trunk_file_id: number("current_trunk_file_id"),
            trunk_last_compress_time: number("trunk_last_compress_time"),
            trunk_binlog_compress_stage: number("trunk_binlog_compress_stage"),
            store_path_marks: (0..store_paths).map(mark).collect(),
        })
    }

    fn serialize(&self) -> String {
        let mut out = String::new();
        put(&mut out, "storage_join_time", self.join_time);
        put(&mut out, "sync_old_done", u8::from(self.sync_old_done));
        put(&mut out, "sync_src_server", &self.sync_src_server);
        put(&mut out, "sync_until_timestamp", self.sync_until_timestamp);
        put(&mut out, "last_ip_addr", &self.last_ip_addr);
        put(&mut out, "last_server_port", self.last_server_port);
        put(&mut out, "current_trunk_file_id", self.current_trunk_file_id);
        put(&mut out, "trunk_last_compress_time", self.trunk_last_compress_time);
        put(&mut out, "trunk_binlog_compress_stage", self.trunk_binlog_compress_stage);
        for (index, mark) in self.store_path_marks.iter().enumerate() {
            if let Some(mark) = mark {
                put(&mut out, &format!("store_path_mark{index}"), mark);
            }
        }
        out
    }

    /// Replaces the file.
    pub(super) fn save(&self, base_data: &Path) -> Result<(), StoreError> {
        let path = file(base_data);
        replace_file(&path, self.serialize().as_bytes()).map_err(StoreError::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THE_REFERENCE: &str = "storage_join_time=1795382761\nsync_old_done=1\nsync_src_server=10.77.0.11\n\
        sync_until_timestamp=1795382760\nlast_ip_addr=10.77.0.12\nlast_server_port=23000\ncurrent_trunk_file_id=0\n\
        trunk_last_compress_time=0\ntrunk_binlog_compress_stage=0\nstore_path_mark0=MTAu\nstore_path_mark1=MTAv\n";

    #[test]
    fn the_reference_s_file_is_read_and_written_byte_equal() {
        let flag = InitFlag::parse(OF_THE_REFERENCE, 2).unwrap();
        assert_eq!((flag.join_time, flag.sync_old_done), (1_795_382_761, true));
        assert_eq!(flag.store_path_marks[1].as_deref(), Some("MTAv"));
        assert_eq!(flag.serialize(), OF_THE_REFERENCE);
    }

    #[test]
    fn what_the_reference_requires_is_required() {
        for key in ["storage_join_time", "sync_old_done", "sync_src_server"] {
            let text: String = OF_THE_REFERENCE
                .lines()
                .filter(|line| !line.starts_with(key))
                .map(|line| format!("{line}\n"))
                .collect();
            assert_eq!(InitFlag::parse(&text, 1), Err(key));
        }
        assert!(InitFlag::parse("", 1).is_err());
    }
}
