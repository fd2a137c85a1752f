//! `<store path>/data/.uploads/<id>.state`: what is remembered of an upload besides its content, in the dialect of the
//! other state files. Replaced as a whole.

use std::io::{self, Read, Write};

use gateway::files::{Committed, UploadKind, UploadSpec};
use gateway::partials::{Completion, PartialId, PartialSpec, PartialState, Role};
use protocol::FileId;
use protocol::config::storage_conf::Durability;
use protocol::file_id::FileExt;
use protocol::metadata::Metadata;

use super::super::data_dir::DataDir;
use super::super::state_text::{StateText, put};
use super::DIR;

/// Of the form that is written. Older ones would be read, too.
const VERSION: i64 = 1;
/// Far longer than any that is written: heads of requests have a limit.
const MAX: u64 = 4 << 20;

/// All that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// `offset` is what the checksum covers; the content may have got longer since.
    pub(super) state: PartialState,
    /// CRC32 of the first `state.offset` bytes.
    pub(super) crc32: u32,
    /// Content from here on does not count.
    pub(super) hold: Option<u64>,
    /// The name that the content is getting, or has got.
    pub(super) naming: Option<String>,
}

/// Where that of an upload lies, below `data`.
pub(super) fn name(id: PartialId) -> String {
    format!("{DIR}/{id}.state")
}

impl Note {
    /// Reads that of an upload. Blocking.
    pub(super) fn load(dir: &DataDir, id: PartialId) -> io::Result<Self> {
        let mut text = String::new();
        dir.open_read(&name(id))?.take(MAX).read_to_string(&mut text)?;
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no state of an upload"))
    }

    /// What it is called while it is written. A kill may leave it; the next start removes it.
    pub(super) fn temporary(id: PartialId) -> String {
        format!("{DIR}/{id}.tmp")
    }

    /// Writes it, to the disk if that is wanted. Blocking.
    pub(super) fn save(&self, dir: &DataDir, id: PartialId, syncs: bool) -> io::Result<()> {
        let temporary = Self::temporary(id);
        let mut file = match dir.create(&temporary) {
            // A kill left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                dir.unlink(&temporary)?;
                dir.create(&temporary)?
            }
            made => made?,
        };
        file.write_all(self.to_text().as_bytes())?;
        if syncs {
            file.sync_all()?;
        }
        dir.rename_over(&temporary, &name(id))?;
        if syncs { dir.sync_parent(&name(id)) } else { Ok(()) }
    }

    /// Removes that of an upload. Blocking.
    pub(super) fn remove(dir: &DataDir, id: PartialId) -> io::Result<()> {
        dir.unlink(&name(id))
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        let PartialState { spec, offset, expires, stored } = &self.state;
        put(out, "version", VERSION);
        let kind = if spec.upload.kind == UploadKind::Appender { "appender" } else { "normal" };
        put(out, "kind", kind);
        put(out, "ext", spec.upload.ext.as_str());
        put(out, "metadata", hex(&spec.upload.metadata.to_text()));
        put(out, "owner", hex(spec.owner.as_bytes()));
        put(out, "expires", expires);
        put(out, "offset", offset);
        put(out, "crc32", self.crc32);
        put(out, "completion", if spec.completion == Completion::AtLength { "length" } else { "said" });
        let role = match &spec.role {
            Role::Whole => "whole",
            Role::Part => "part",
            Role::Joined(_) => "joined",
        };
        put(out, "role", role);
        if let Role::Joined(parts) = &spec.role {
            put(out, "parts", parts);
        }
        if let Some(durability) = spec.upload.durability {
            put(out, "fsync", u8::from(durability != Durability::Write));
        }
        let replicas = Some(u64::from(spec.replicas)).filter(|replicas| *replicas > 0);
        let optional = [("length", spec.upload.len), ("hold", self.hold), ("replicas", replicas)];
        for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            put(out, key, value);
        }
        let texts = [("told", &spec.told), ("naming", &self.naming)];
        for (key, value) in texts.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            put(out, key, value);
        }
        if let Some(Committed { id, len, crc32, timestamp, .. }) = stored {
            put(out, "file_id", id);
            put(out, "file_size", len);
            put(out, "file_crc32", crc32);
            put(out, "file_timestamp", timestamp);
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let text = StateText::parse(text);
        if !(1..=VERSION).contains(&text.number("version")?) {
            return None;
        }
        let number = |key: &str| text.text(key).map(|value| value.parse::<u64>().ok());
        let optional = |key: &str| number(key).map_or(Some(None), |value| value.map(Some));
        let kind = match text.text("kind")? {
            "normal" => UploadKind::Normal,
            "appender" => UploadKind::Appender,
            _ => return None,
        };
        let role = match text.text("role")? {
            "whole" => Role::Whole,
            "part" => Role::Part,
            "joined" => Role::Joined(text.text("parts")?.to_owned()),
            _ => return None,
        };
        let completion = match text.text("completion")? {
            "length" => Completion::AtLength,
            "said" => Completion::WhenSaid,
            _ => return None,
        };
        let upload = UploadSpec {
            len: optional("length")?,
            metadata: Metadata::parse(&unhex(text.text("metadata")?)?),
            durability: text
                .text("fsync")
                .map(|yes| if yes == "1" { Durability::Fsync } else { Durability::Write }),
            ..UploadSpec::new(kind, FileExt::parse(text.text("ext")?).ok()?)
        };
        let spec = PartialSpec {
            upload,
            role,
            completion,
            replicas: u8::try_from(optional("replicas")?.unwrap_or(0)).ok()?,
            told: text.text("told").map(str::to_owned),
            owner: String::from_utf8(unhex(text.text("owner")?)?).ok()?,
        };
        let stored = match text.text("file_id") {
            None => None,
            Some(id) => Some(Committed {
                id: FileId::parse(id).ok()?,
                len: number("file_size")??,
                crc32: u32::try_from(number("file_crc32")??).ok()?,
                timestamp: u32::try_from(number("file_timestamp")??).ok()?,
            }),
        };
        let state =
            PartialState { spec, offset: number("offset")??, expires: text.number("expires")?, stored };
        let crc32 = u32::try_from(number("crc32")??).ok()?;
        Some(Self { state, crc32, hold: optional("hold")?, naming: text.text("naming").map(str::to_owned) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let mut metadata = Metadata::default();
        metadata.insert("fdfs.filename", "a\nb=c \u{fc}.jpg").unwrap();
        let upload = UploadSpec {
            len: Some(1 << 40),
            metadata,
            ..UploadSpec::new(UploadKind::Appender, FileExt::parse("jpg").unwrap())
        };
        let spec = PartialSpec {
            upload,
            role: Role::Joined("final;/v1/uploads/a /v1/uploads/b".to_owned()),
            completion: Completion::WhenSaid,
            replicas: 2,
            told: Some("filename YQ==,empty".to_owned()),
            owner: "token \"a\"\nversion=9".to_owned(),
        };
        let state = PartialState { spec, offset: 5, expires: 1_800_000_000, stored: None };
        Note { state, crc32: u32::MAX, hold: Some(3), naming: Some("M00/00/00/x".to_owned()) }
    }

    #[test]
    fn notes_go_there_and_back() {
        let whole = note();
        assert_eq!(Note::parse(&whole.to_text()), Some(whole.clone()));
        let mut plain = whole;
        plain.hold = None;
        plain.naming = None;
        plain.state.spec.role = Role::Part;
        plain.state.spec.upload.len = None;
        plain.state.spec.upload.kind = UploadKind::Normal;
        plain.state.spec.upload.ext = FileExt::parse("").unwrap();
        plain.state.spec.upload.durability = Some(Durability::Fsync);
        plain.state.spec.completion = Completion::AtLength;
        plain.state.spec.replicas = 0;
        plain.state.spec.told = None;
        plain.state.spec.owner = String::new();
        plain.state.spec.upload.metadata = Metadata::default();
        plain.state.stored = Some(Committed {
            id: FileId::parse("group1/M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt").unwrap(),
            len: 14,
            crc32: 0x0e10_ba5d,
            timestamp: 1_795_382_841,
        });
        assert_eq!(Note::parse(&plain.to_text()), Some(plain));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let text = note().to_text();
        for (from, to) in [
            ("version=1", "version=2"),
            ("offset=5", "offset=-5"),
            ("crc32=", "crc32=9"),
            ("kind=appender", "kind=slave"),
            ("hold=3", "hold=x"),
            ("replicas=2", "replicas=256"),
            ("metadata=", "metadata=xy"),
            ("role=joined", "role=odd"),
            ("completion=said", "completion="),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert_eq!(Note::parse(&changed), None, "{to}");
        }
        for end in 0..text.rfind("offset").unwrap() {
            assert_eq!(Note::parse(&text[..end]), None);
        }
    }
}
