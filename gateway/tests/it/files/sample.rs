//! The files that cases ask for, and where they are.

use gateway::files::UploadKind;

use crate::fake::{Fake, Others};

/// Kinds of files, as the table names them; what they hold differs by kind only in its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    make: Make,
    ext: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    /// 1000 bytes, never changes.
    Normal,
    /// 1000 bytes, can change.
    Appender,
    /// 1000 bytes beside a master.
    Slave,
    /// 1000 bytes in a slot of a trunk file.
    Trunk,
    /// No byte.
    Empty,
    /// 600 001 bytes: streamed in pieces.
    Large,
    /// 300 bytes without extension.
    Bare,
    /// 20 bytes beside a master: its metadata.
    Metadata,
}

impl Kind {
    /// Parses such as `normal` or `normal.html`.
    pub fn parse(text: &str) -> Option<Self> {
        let (make, ext) = text.split_once('.').map_or((text, None), |(make, ext)| (make, Some(ext)));
        let (make, usual) = match make {
            "normal" => (Make::Normal, "txt"),
            "appender" => (Make::Appender, "log"),
            "slave" => (Make::Slave, "jpg"),
            "trunk" => (Make::Trunk, "png"),
            "empty" => (Make::Empty, "txt"),
            "large" => (Make::Large, "jpg"),
            "bare" => (Make::Bare, ""),
            "metadata" => (Make::Metadata, "jpg"),
            _ => return None,
        };
        Some(Self { make, ext: ext.unwrap_or(usual).to_owned() })
    }

    /// Whether size and time of the content make the entity tag, not the name.
    fn is_mutable(&self) -> bool {
        matches!(self.make, Make::Appender | Make::Slave | Make::Metadata)
    }
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On this node.
    Here,
    /// Another member has it.
    Elsewhere,
    /// It was here and was deleted; nobody has it.
    Deleted,
    /// Not here, and the other members do not answer.
    Silent,
    /// Not here, and the member that has it is gone when its content is asked for.
    GoneLater,
    /// Here, and the disk does not give it.
    Unreadable,
}

impl State {
    /// Parses a state. Left out it is two: whoever has the file, the answer is the same.
    pub fn parse(text: &str) -> Option<Vec<Self>> {
        Some(match text {
            "" => vec![Self::Here, Self::Elsewhere],
            "here" => vec![Self::Here],
            "elsewhere" => vec![Self::Elsewhere],
            "deleted" => vec![Self::Deleted],
            "silent" => vec![Self::Silent],
            "gone-later" => vec![Self::GoneLater],
            "unreadable" => vec![Self::Unreadable],
            _ => return None,
        })
    }

    fn put(self, store: &Fake, id: &str) {
        let others = |others| *store.0.others.lock().unwrap() = others;
        match self {
            Self::Here => {}
            Self::Elsewhere => store.move_away(id),
            Self::Deleted => store.lose(id),
            Self::Silent => {
                store.lose(id);
                others(Others::Silent);
            }
            Self::GoneLater => {
                store.move_away(id);
                others(Others::GoneLater);
            }
            Self::Unreadable => store.break_disk(),
        }
    }
}

/// A file in the store.
pub struct Sample {
    pub id: String,
    pub etag: String,
    pub content: Vec<u8>,
}

impl Sample {
    /// Puts a file into the store. The entity tag of a file that never changes is the code in its name.
    pub fn new(store: &Fake, kind: &Kind, state: State) -> Self {
        let len = match kind.make {
            Make::Empty => 0,
            Make::Metadata => 20,
            Make::Bare => 300,
            Make::Large => 600_001,
            Make::Normal | Make::Appender | Make::Slave | Make::Trunk => 1000,
        };
        let content = content(len);
        let id = match kind.make {
            Make::Appender => store.add(&UploadKind::Appender, &kind.ext, &content).to_string(),
            Make::Trunk => store.add_in_trunk(&kind.ext, &content).to_string(),
            Make::Slave | Make::Metadata => {
                let master = store.add(&UploadKind::Normal, &kind.ext, b"the master").to_string();
                let id = match kind.make {
                    Make::Slave => {
                        let (stem, ext) = master.rsplit_once('.').unwrap();
                        format!("{stem}_150x150.{ext}")
                    }
                    _ => format!("{master}-m"),
                };
                store.add_as(&id, true, &content);
                id
            }
            _ => store.add(&UploadKind::Normal, &kind.ext, &content).to_string(),
        };
        let etag = if kind.is_mutable() {
            // 784111777 seconds as nanoseconds.
            format!("\"{len:x}-ae1b981bc490a00\"")
        } else {
            format!("\"{}\"", &id["group1/M00/00/00/".len()..][..27])
        };
        state.put(store, &id);
        Self { id, etag, content }
    }

    /// Puts what belongs to the file into a text of the table.
    pub fn fill(&self, text: &str) -> String {
        let name = self.id.strip_prefix("group1/").unwrap();
        text.replace("{id}", &self.id)
            .replace("{name}", name)
            .replace("{etag}", &self.etag)
            .replace("{len}", &self.content.len().to_string())
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"0123456789abcdefghijklmnopqrstuvwxyz-"[(at * 7 + at / 251) % 37]).collect()
}
