//! Making names: a storage's own, and a slave's from its master's.

use super::{BadName, FileExt, LogicName, NameCode, NameTail, SlavePrefix, StorePathIndex, TrunkSlot};

/// The two directories of a name, each `00` to `FF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubDir {
    /// First level.
    pub high: u8,
    /// Second level.
    pub low: u8,
}

impl SubDir {
    /// `HH/LL`.
    pub fn to_path(self) -> String {
        format!("{:02X}/{:02X}", self.high, self.low)
    }
}

/// Of what is made here.
const MAX_LEN: usize = 60;

fn push_hex(name: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        name.push(char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

fn push_ascii(name: &mut String, text: &[u8]) {
    name.push_str(std::str::from_utf8(text).expect("base64 and checked tails are ASCII"));
}

impl LogicName {
    /// The name of a file that this storage takes in: 44 characters, 60 with a trunk slot.
    pub fn make(
        path: StorePathIndex,
        dir: SubDir,
        code: &NameCode,
        slot: Option<&TrunkSlot>,
        tail: &NameTail,
    ) -> Self {
        let mut name = String::with_capacity(MAX_LEN);
        name.push('M');
        push_hex(&mut name, path.0);
        for byte in [dir.high, dir.low] {
            name.push('/');
            push_hex(&mut name, byte);
        }
        name.push('/');
        push_ascii(&mut name, &code.encode());
        if let Some(slot) = slot {
            push_ascii(&mut name, &slot.encode());
        }
        push_ascii(&mut name, tail.as_bytes());
        Self::parse(&name).expect("the parts are in range")
    }

    /// The directories of the name.
    pub fn sub_dir(&self) -> SubDir {
        let part = |at| u8::from_str_radix(&self.true_name()[at..at + 2], 16).expect("parse admits hex only");
        SubDir { high: part(0), low: part(3) }
    }
}

/// The name of a slave of `master`: what comes before the first `.` in the master's last seven characters, then
/// prefix, then `.ext`. Without `ext` the slave has no extension.
///
/// Refused: a master of fewer than 34 characters after `Mxx/`, `-m` without an extension, which is the name of the metadata
/// of a master without one, and what else would give the slave the name of its master or of its master's metadata, as the
/// prefixes `.txt` and `.txt-m` do.
pub fn slave_name(master: &LogicName, prefix: SlavePrefix, ext: FileExt) -> Result<LogicName, BadName> {
    const MIN_MASTER_LEN: usize = 34;
    let full = master.as_str();
    if master.true_name().len() < MIN_MASTER_LEN {
        return Err(BadName::Master);
    }
    let ext = ext.as_str();
    if prefix.as_str() == "-m" && ext.is_empty() {
        return Err(BadName::Master);
    }
    let tail_at = full.len() - 7;
    let stem = match full[tail_at..].find('.') {
        Some(dot) => &full[..tail_at + dot],
        None => full,
    };
    let dot = if ext.is_empty() || ext.starts_with('.') { "" } else { "." };
    let slave = LogicName::parse(&format!("{stem}{}{dot}{ext}", prefix.as_str()))?;
    let is_taken = slave == *master || slave.metadata_owner().is_some_and(|owner| owner == *master);
    if is_taken { Err(BadName::Master) } else { Ok(slave) }
}
