//! Which configuration file a file is: by its name, or else by what stands in it.

use std::fmt;
use std::path::Path;

use super::diagnostic::{ConfigError, Diagnostic, Diagnostics};
use super::ini::{Ini, trim};
use super::local_facts::LocalFacts;
use super::reader::KeyReader;
use super::schema::{self, Files};
use super::{ClientConf, ModuleConf, StorageConf, StorageIds, TrackerConf, WebConf, flow, legacy};

/// A file of FastDFS's that fdfs reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `tracker.conf`
    Tracker,
    /// `storage.conf`
    Storage,
    /// `client.conf`
    Client,
    /// `storage_ids.conf`
    StorageIds,
    /// `mod_fastdfs.conf`
    Module,
    /// `http.conf`, which others include.
    Http,
    /// `mime.types`
    MimeTypes,
}

/// What a file says.
#[derive(Debug)]
pub enum Loaded {
    /// `tracker.conf`
    Tracker(Box<TrackerConf>),
    /// `storage.conf`
    Storage(Box<StorageConf>),
    /// `client.conf`
    Client(Box<ClientConf>),
    /// `storage_ids.conf`
    StorageIds(StorageIds),
    /// `mod_fastdfs.conf`
    Module(Box<ModuleConf>),
    /// `http.conf`
    Http(Box<WebConf>),
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Tracker,
        Self::Storage,
        Self::Client,
        Self::StorageIds,
        Self::Module,
        Self::Http,
        Self::MimeTypes,
    ];

    /// The name that FastDFS's documentation gives the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracker => "tracker.conf",
            Self::Storage => "storage.conf",
            Self::Client => "client.conf",
            Self::StorageIds => "storage_ids.conf",
            Self::Module => "mod_fastdfs.conf",
            Self::Http => "http.conf",
            Self::MimeTypes => "mime.types",
        }
    }

    /// The kind that a file's name tells: FastDFS's, also with more before or after it (`tracker.conf.sample`,
    /// `10-storage.conf`).
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        Self::ALL.into_iter().find(|kind| name == kind.name()).or_else(|| {
            let mut alike = Self::ALL.into_iter().filter(|kind| name.contains(kind.name()));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// The kind of which a text looks most; `None` if it looks like none.
    pub fn of_text(text: &str, path: &Path, facts: &LocalFacts) -> Option<Self> {
        table_kind(text).or_else(|| {
            let ini = Ini::parse(text, path, facts, &mut Diagnostics::default());
            schema::most_like(&ini)
        })
    }

    /// Reads a file as those who need it do. `None` for what is no configuration: `mime.types`.
    #[allow(clippy::type_complexity, reason = "the same pair as every loader of this module gives")]
    pub fn load(
        self,
        path: &Path,
        facts: &LocalFacts,
    ) -> Option<Result<(Loaded, Vec<Diagnostic>), ConfigError>> {
        fn boxed<T>(
            outcome: Result<(T, Vec<Diagnostic>), ConfigError>,
            wrap: impl FnOnce(Box<T>) -> Loaded,
        ) -> Result<(Loaded, Vec<Diagnostic>), ConfigError> {
            outcome.map(|(conf, found)| (wrap(Box::new(conf)), found))
        }
        Some(match self {
            Self::Tracker => boxed(TrackerConf::load(path, facts), Loaded::Tracker),
            Self::Storage => boxed(StorageConf::load(path, facts), Loaded::Storage),
            Self::Client => boxed(ClientConf::load(path, facts), Loaded::Client),
            Self::StorageIds => boxed(StorageIds::load(path, facts), |table| Loaded::StorageIds(*table)),
            Self::Module => boxed(ModuleConf::load(path, facts), Loaded::Module),
            Self::Http => boxed(flow::load(path, facts, build_http), Loaded::Http),
            Self::MimeTypes => return None,
        })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `http.conf` alone: its keys as such, its values as the gateway that includes it reads them.
fn build_http(mut ini: Ini, _facts: &LocalFacts, found: &mut Diagnostics) -> WebConf {
    legacy::apply(&mut ini, Files::HTTP, found);
    schema::check(&ini, Files::HTTP, found);
    WebConf::read(&mut KeyReader::new(&ini, Files::MODULE, found))
}

/// The kind of a file that is a table rather than pairs, by its first line that says anything.
fn table_kind(text: &str) -> Option<FileKind> {
    let line = text.lines().map(trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    let has_pair = words.clone().next().is_some_and(|second| second.starts_with('='));
    let is_mime = first.split_once('/').is_some_and(|(kind, rest)| {
        let is_plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte))
        };
        is_plain(kind) && is_plain(rest.trim_end_matches(';'))
    });
    if has_pair {
        return None;
    }
    if is_mime || first.strip_suffix('{').unwrap_or(first) == "types" {
        return Some(FileKind::MimeTypes);
    }
    let is_id = first.bytes().all(|byte| byte.is_ascii_digit()) && words.count() >= 2;
    is_id.then_some(FileKind::StorageIds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for (path, kind) in [
            ("/etc/fdfs/tracker.conf", Some(FileKind::Tracker)),
            ("mod_fastdfs.conf", Some(FileKind::Module)),
            ("storage_ids.conf", Some(FileKind::StorageIds)),
            ("10-storage.conf.sample", Some(FileKind::Storage)),
            ("mime.types", Some(FileKind::MimeTypes)),
            ("nginx-http.conf", Some(FileKind::Http)),
            ("fdfs.conf", None),
            ("client.conf.of.storage.conf", None),
        ] {
            assert_eq!(FileKind::of_name(Path::new(path)), kind, "{path}");
        }
    }

    #[test]
    fn texts_tell() {
        let check = |text: &str, kind| {
            let found = FileKind::of_text(text, Path::new("x"), &LocalFacts::none());
            assert_eq!(found, kind, "{text}");
        };
        check("base_path = /a\nstore_lookup = 2\nuse_trunk_file = false\n", Some(FileKind::Tracker));
        check(
            "base_path = /a\ngroup_name = g\nstore_path0 = /a\nupload_priority = 1",
            Some(FileKind::Storage),
        );
        check("tracker_server = 10.0.0.1\nbase_path = /tmp\n", Some(FileKind::Client));
        check(
            "group_name = g\nstore_path0 = /a\nurl_have_group_name = true\nresponse_mode = proxy",
            Some(FileKind::Module),
        );
        check("http.default_content_type = a/b\nhttp.anti_steal.token_ttl = 1", Some(FileKind::Http));
        check("# ids\n100001 group1 10.0.0.1 rw=read\n", Some(FileKind::StorageIds));
        check("# types\ntext/html html htm\n", Some(FileKind::MimeTypes));
        check("types {\n text/html html;\n}", Some(FileKind::MimeTypes));
        check("nobody = knows\n", None);
        check("a/b = c\n", None);
        check("", None);
    }

    #[test]
    fn http_conf_is_read_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.conf");
        let check = |text: &str| {
            std::fs::write(&path, text).unwrap();
            FileKind::Http.load(&path, &LocalFacts::none()).unwrap()
        };
        let (loaded, found) =
            check("http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = s\nport=1\n").unwrap();
        assert!(matches!(loaded, Loaded::Http(web) if web.proof.tokens.is_some()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("belongs in tracker.conf, storage.conf"), "{found:?}");
        check("http.anti_steal.check_token = true\n").expect_err("there is no key");
    }
}
