//! `storage_ids.conf`: the numbers, groups and addresses of storages, as a file and as a tracker serves it
//! (native-client.md 2.8, command 69).
//!
//! One line a storage: `id group host[:port] [rw=mode]`. The file may name hosts, which are looked up when it is loaded;
//! the served form has addresses only.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use super::diagnostic::{ConfigError, Diagnostic, Diagnostics, Place};
use super::ini::{read_text, trim};
use super::local_facts::LocalFacts;
use super::server_address::ServerAddress;
use super::storage_conf::DEFAULT_PORT;
use crate::address::AddressKind;
use crate::group_name::GroupName;
use crate::storage_id::StorageId;

/// Largest number: file names have 24 bits for it.
const MAX_NUMBER: u32 = (1 << 24) - 1;

/// What a storage may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RwMode {
    /// Reads and writes.
    #[default]
    Both,
    /// Reads only.
    Read,
    /// Writes only.
    Write,
    /// Neither; it only replicates.
    None,
}

impl RwMode {
    /// Whether downloads may go there.
    pub fn reads(self) -> bool {
        matches!(self, Self::Both | Self::Read)
    }

    /// Whether uploads may go there.
    pub fn writes(self) -> bool {
        matches!(self, Self::Both | Self::Write)
    }

    /// The byte of it in messages: 4 for reads, 2 for writes.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Write => 2,
            Self::Read => 4,
            Self::Both => 6,
        }
    }

    /// The mode of a byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::None, Self::Write, Self::Read, Self::Both].into_iter().find(|mode| mode.to_byte() == byte)
    }

    /// The word for it in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Write => "write",
            Self::Read => "read",
            Self::Both => "both",
        }
    }

    /// The mode of a word in the table.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "both" | "all" => Self::Both,
            "read" | "readonly" => Self::Read,
            "write" | "writeonly" => Self::Write,
            "none" => Self::None,
            _ => return None,
        })
    }
}

/// One storage. `Display` gives the served line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageIdEntry {
    /// Its number, as text.
    pub id: StorageId,
    /// Its number, 1 to 16777215.
    pub number: u32,
    /// Its group.
    pub group: GroupName,
    /// Its address, or the first of its two: the private one.
    pub ip: IpAddr,
    /// Its second address, of another network.
    pub alternate_ip: Option<IpAddr>,
    /// Its native port.
    pub port: u16,
    /// What it may be used for.
    pub rw: RwMode,
}

impl StorageIdEntry {
    /// One or two addresses, in the order in which they are tried.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.ip).chain(self.alternate_ip)
    }
}

impl fmt::Display for StorageIdEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = self.addresses().any(|ip| ip.is_ipv6());
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        write!(f, "{} {} {open}{}", self.id, self.group, self.ip)?;
        if let Some(second) = self.alternate_ip {
            write!(f, ",{second}")?;
        }
        write!(f, "{close}:{}", self.port)?;
        match self.rw {
            RwMode::Both => Ok(()),
            RwMode::Read => f.write_str(" rw=read"),
            RwMode::Write => f.write_str(" rw=write"),
            RwMode::None => f.write_str(" rw=none"),
        }
    }
}

/// The table, in the order of the ids as text. Ids are unique, and so are pairs of address and port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageIds {
    entries: Vec<StorageIdEntry>,
    by_address: BTreeMap<(IpAddr, u16), usize>,
}

impl StorageIds {
    /// Reads the file. An empty table is an error.
    pub fn load(path: &Path, facts: &LocalFacts) -> Result<(Self, Vec<Diagnostic>), ConfigError> {
        let text = read_text(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, facts)
    }

    /// Reads `text` as if it were the file `path`.
    pub fn parse(
        text: &str,
        path: &Path,
        facts: &LocalFacts,
    ) -> Result<(Self, Vec<Diagnostic>), ConfigError> {
        let mut found = Diagnostics::default();
        let table = Self::read(text, path, facts, &mut found);
        if table.entries.is_empty() {
            found.error(&Place::whole(path), "no storage is listed; write a line 'id group host' for each");
        }
        found.finish(path, table)
    }

    /// Reads the lines of all pages that the tracker `from` served. They may be none.
    pub fn parse_served(lines: &str, from: &str) -> Result<Self, ConfigError> {
        let path = Path::new(from);
        let mut found = Diagnostics::default();
        let table = Self::read(lines, path, &LocalFacts::none(), &mut found);
        found.finish(path, table).map(|(table, _)| table)
    }

    fn read(text: &str, path: &Path, facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        let mut place = Place::whole(path);
        let mut lines: BTreeMap<StorageId, (StorageIdEntry, u32)> = BTreeMap::new();
        let mut owners: BTreeMap<(IpAddr, u16), StorageId> = BTreeMap::new();
        for (number, line) in (1..).zip(text.split('\n')) {
            place.line = number;
            let line = trim(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = match parse_line(line, facts) {
                Ok(entry) => entry,
                Err(why) => {
                    found.error(&place, format!("'{line}': {why}"));
                    continue;
                }
            };
            if let Some((_, first)) = lines.get(&entry.id) {
                found.error(&place, format!("id {} is given on line {first} too; ids must differ", entry.id));
                continue;
            }
            for ip in entry.addresses() {
                if let Some(owner) = owners.insert((ip, entry.port), entry.id) {
                    let port = entry.port;
                    let message =
                        format!("{ip} port {port} belongs to id {owner} too; give each storage its own");
                    found.error(&place, message);
                }
            }
            lines.insert(entry.id, (entry, number));
        }
        let entries: Vec<StorageIdEntry> = lines.into_values().map(|(entry, _)| entry).collect();
        let by_address = entries
            .iter()
            .enumerate()
            .flat_map(|(index, entry)| entry.addresses().map(move |ip| ((ip, entry.port), index)))
            .collect();
        Self { entries, by_address }
    }

    /// All storages, in the order of their ids as text.
    pub fn entries(&self) -> &[StorageIdEntry] {
        &self.entries
    }

    /// The storage with this id.
    pub fn by_id(&self, id: &StorageId) -> Option<&StorageIdEntry> {
        self.entries.binary_search_by(|entry| entry.id.cmp(id)).ok().and_then(|index| self.entries.get(index))
    }

    /// The storage with this number, as file names carry it.
    pub fn by_number(&self, number: u32) -> Option<&StorageIdEntry> {
        self.by_id(&StorageId::parse(&number.to_string()).ok()?)
    }

    /// The storage of `group` at this address and port.
    pub fn by_address(&self, group: &GroupName, ip: IpAddr, port: u16) -> Option<&StorageIdEntry> {
        let entry = self.entries.get(*self.by_address.get(&(ip, port))?)?;
        (entry.group == *group).then_some(entry)
    }

    /// The storages of `group` at this address, one for each port.
    pub fn by_ip(&self, group: GroupName, ip: IpAddr) -> impl Iterator<Item = &StorageIdEntry> {
        let at = self.by_address.range((ip, 0)..=(ip, u16::MAX));
        at.filter_map(|(_, index)| self.entries.get(*index)).filter(move |entry| entry.group == group)
    }

    /// Whether a storage has an IPv6 address.
    pub fn has_v6(&self) -> bool {
        self.by_address.keys().any(|(ip, _)| ip.is_ipv6())
    }

    /// The lines from number `start` (counted from 0) on, as many as fit into `max_len` bytes, and their number.
    pub fn serve(&self, start: usize, max_len: usize) -> (usize, String) {
        let mut page = String::new();
        let mut count = 0;
        for entry in self.entries.iter().skip(start) {
            let line = format!("{entry}\n");
            if page.len() + line.len() > max_len {
                break;
            }
            page.push_str(&line);
            count += 1;
        }
        (count, page)
    }
}

fn parse_line(line: &str, facts: &LocalFacts) -> Result<StorageIdEntry, String> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let (Some(id), Some(group), Some(host)) = (words.next(), words.next(), words.next()) else {
        return Err("not 'id group host[:port] [rw=mode]'".to_owned());
    };
    let number = parse_number(id).ok_or("the id must be a number from 1 to 16777215 without leading zero")?;
    let group = GroupName::parse(group).map_err(|why| why.to_string())?;
    let server = ServerAddress::parse(host, DEFAULT_PORT).map_err(|why| format!("{host}: {why}"))?;
    let mut rw = RwMode::default();
    for word in words {
        let mode = word.split_once('=').filter(|(key, _)| key.eq_ignore_ascii_case("rw"));
        rw = mode.and_then(|(_, mode)| RwMode::parse(mode)).ok_or_else(|| {
            let hint = if word.starts_with('#') { "; comments need a line of their own" } else { "" };
            format!("'{word}' is not rw=both, rw=read, rw=write or rw=none{hint}")
        })?;
    }
    let resolve = |host: &str| {
        let address = facts.lookup(host).into_iter().next();
        address.ok_or_else(|| format!("host {host} has no address"))
    };
    let mut ip = resolve(&server.primary.host)?;
    let mut alternate_ip = server.alternate.as_ref().map(|second| resolve(&second.host)).transpose()?;
    if let Some(second) = alternate_ip {
        // Names could not be compared before.
        if AddressKind::of(ip) == AddressKind::of(second) {
            return Err(super::server_address::BadServerAddress::SameNetwork.to_string());
        }
        if AddressKind::of(ip) == AddressKind::Outer {
            alternate_ip = Some(std::mem::replace(&mut ip, second));
        }
    }
    let id = StorageId::parse(id).map_err(|why| why.to_string())?;
    Ok(StorageIdEntry { id, number, group, ip, alternate_ip, port: server.port(), rw })
}

fn parse_number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|number| digits && (1..=MAX_NUMBER).contains(number))
}

#[cfg(test)]
mod tests;
