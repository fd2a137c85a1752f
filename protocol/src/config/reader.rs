//! Reads typed values out of an [`Ini`], reporting every doubt with its key and place.
//!
//! A scalar is the last entry of its key. Inside a section reader, a key that the section lacks is taken from the global
//! section.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostics, Place};
use super::ini::{Entry, Ini};
use super::schema::{self, Files, Kind};
use super::server_address::ServerAddress;
use super::value::{
    Doubt, Lenient, TimeOfDay, parse_bool, parse_bytes, parse_int, parse_seconds, parse_seconds_with_unit,
    parse_text, parse_time_of_day,
};

/// Servers that one list may name.
const MAX_SERVERS: usize = 16;

pub(super) struct KeyReader<'a> {
    pub(super) ini: &'a Ini,
    pub(super) found: &'a mut Diagnostics,
    file: Files,
    section: &'a str,
    /// Whether a key that `section` lacks is taken from the global section.
    falls_back: bool,
}

impl<'a> KeyReader<'a> {
    pub(super) fn new(ini: &'a Ini, file: Files, found: &'a mut Diagnostics) -> Self {
        Self { ini, found, file, section: "", falls_back: false }
    }

    /// A reader of `section` that falls back to the global section.
    pub(super) fn section<'b>(&'b mut self, section: &'b str) -> KeyReader<'b> {
        KeyReader { ini: self.ini, found: self.found, file: self.file, section, falls_back: true }
    }

    /// Reads keys of this section that have no global default.
    pub(super) fn own<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let falls_back = std::mem::replace(&mut self.falls_back, false);
        let value = read(self);
        self.falls_back = falls_back;
        value
    }

    /// All entries of the section that this reads.
    pub(super) fn entries(&self) -> &'a [Entry] {
        let section = self.ini.sections().iter().find(|section| section.name == self.section);
        section.map_or(&[], |section| &section.entries)
    }

    fn last(&self, key: &str) -> Option<&'a Entry> {
        let entry = self.ini.last(self.section, key);
        if self.falls_back { entry.or_else(|| self.ini.last("", key)) } else { entry }
    }

    fn entry(&self, key: &str, kind: Kind) -> Option<&'a Entry> {
        debug_assert!(
            schema::find(self.file, key).is_some_and(|row| row.kind == kind),
            "{key} is not in the schema as {kind:?}"
        );
        self.last(key)
    }

    /// Whether the key is written, even without a value.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.last(key).is_some()
    }

    /// Where `key` stands, or the file if it does not.
    pub(super) fn place(&self, key: &str) -> Place {
        self.last(key).map_or_else(|| self.ini.whole(), |entry| entry.place.clone())
    }

    /// Refuses the file because of `key`.
    pub(super) fn refuse(&mut self, key: &str, why: impl std::fmt::Display) {
        let place = self.place(key);
        self.found.error(&place, format!("{key}: {why}"));
    }

    /// Warns about `key`.
    pub(super) fn warn(&mut self, key: &str, why: impl std::fmt::Display) {
        let place = self.place(key);
        self.found.warn(&place, format!("{key}: {why}"));
    }

    fn settle<T>(&mut self, entry: &Entry, read: Lenient<T>) -> T {
        self.doubt(entry, read.doubt);
        read.value
    }

    fn doubt(&mut self, entry: &Entry, doubt: Option<Doubt>) {
        if let Some(doubt) = doubt {
            self.found.warn(&entry.place, format!("{} = {}: {doubt}", entry.name, entry.value));
        }
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.entry(key, Kind::Bool) {
            Some(entry) => self.settle(entry, parse_bool(&entry.value)),
            None => default,
        }
    }

    pub(super) fn int(&mut self, key: &str, default: i64) -> i64 {
        match self.entry(key, Kind::Int) {
            Some(entry) => self.settle(entry, parse_int(&entry.value)),
            None => default,
        }
    }

    /// A number that is not negative; a negative one is read as 0.
    pub(super) fn count(&mut self, key: &str, default: u32) -> u32 {
        let value = self.int(key, i64::from(default));
        u32::try_from(value).unwrap_or_else(|_| {
            self.warn(key, format_args!("{value} is negative; read as 0"));
            0
        })
    }

    /// A number from 1; the reference refuses to start with less.
    pub(super) fn positive(&mut self, key: &str, default: u32) -> u32 {
        let value = self.int(key, i64::from(default));
        match u32::try_from(value) {
            Ok(value) if value > 0 => value,
            _ => {
                self.refuse(key, format_args!("{value} is too small; write at least 1"));
                default
            }
        }
    }

    /// A number from 1; less is the default, with a warning.
    pub(super) fn positive_or(&mut self, key: &str, default: u32) -> u32 {
        let value = self.int(key, i64::from(default));
        match u32::try_from(value) {
            Ok(value) if value > 0 => value,
            _ => {
                self.warn(key, format_args!("{value} is too small; read as the default, {default}"));
                default
            }
        }
    }

    /// A port; what is not positive is the default, as in the reference.
    pub(super) fn port(&mut self, key: &str, default: u16) -> u16 {
        let value = self.int(key, i64::from(default));
        match u16::try_from(value) {
            Ok(0) => default,
            Ok(port) => port,
            Err(_) if value < 0 => default,
            Err(_) => {
                self.refuse(key, format_args!("{value} is no port; write 1 to 65535"));
                default
            }
        }
    }

    /// Seconds that must be positive; anything else is the default.
    pub(super) fn seconds(&mut self, key: &str, default: u32) -> Duration {
        let value = match self.entry(key, Kind::Seconds) {
            Some(entry) => self.settle(entry, seconds_parser(key)(&entry.value)),
            None => i64::from(default),
        };
        if value > 0 {
            return Duration::from_secs(value.unsigned_abs());
        }
        self.warn(key, format_args!("{value} seconds are not possible; read as the default, {default}"));
        Duration::from_secs(u64::from(default))
    }

    /// Seconds where 0 means "off"; negative ones are read as 0.
    pub(super) fn seconds_or_zero(&mut self, key: &str, default: u32) -> Duration {
        let value = match self.entry(key, Kind::Seconds) {
            Some(entry) => self.settle(entry, seconds_parser(key)(&entry.value)),
            None => i64::from(default),
        };
        let seconds = u64::try_from(value).unwrap_or_else(|_| {
            self.warn(key, format_args!("{value} is negative; read as 0"));
            0
        });
        Duration::from_secs(seconds)
    }

    /// A size that must be well formed.
    pub(super) fn bytes(&mut self, key: &str, default: u64) -> u64 {
        match self.bytes_entry(key) {
            Some((_, Ok(value))) => value,
            Some((entry, Err(why))) => {
                self.found.error(&entry.place, format!("{key} = {}: {why}", entry.value));
                default
            }
            None => default,
        }
    }

    /// A size between `min` and `max`; a malformed one is the default, others are moved to the nearest bound.
    pub(super) fn bytes_within(&mut self, key: &str, default: u64, min: u64, max: u64) -> u64 {
        let value = match self.bytes_entry(key) {
            Some((_, Ok(value))) => value,
            Some((entry, Err(why))) => {
                let message = format!("{key} = {}: {why}; read as the default, {default}", entry.value);
                self.found.warn(&entry.place, message);
                default
            }
            None => default,
        };
        self.clamp(key, value, min, max)
    }

    /// `value`, moved to the nearest bound with a warning.
    pub(super) fn clamp(&mut self, key: &str, value: u64, min: u64, max: u64) -> u64 {
        let clamped = value.clamp(min, max);
        if clamped != value {
            self.warn(key, format_args!("{value} is not within {min} to {max}; read as {clamped}"));
        }
        clamped
    }

    fn bytes_entry(&mut self, key: &str) -> Option<(&'a Entry, Result<u64, super::value::BadValue>)> {
        let entry = self.entry(key, Kind::Bytes)?;
        let read = parse_bytes(&entry.value).map(|read| self.settle(entry, read));
        Some((entry, read))
    }

    pub(super) fn time(&mut self, key: &str, default: TimeOfDay) -> TimeOfDay {
        let Some(entry) = self.entry(key, Kind::Time) else { return default };
        match parse_time_of_day(&entry.value) {
            Ok(read) => self.settle(entry, read),
            Err(why) => {
                self.found.error(&entry.place, format!("{key} = {}: {why}", entry.value));
                default
            }
        }
    }

    /// Free text as written, possibly empty.
    pub(super) fn text(&mut self, key: &str) -> Option<&'a str> {
        let entry = self.entry(key, Kind::Text)?;
        Some(self.settle(entry, parse_text(&entry.value)))
    }

    /// Free text; an empty value is as good as none.
    pub(super) fn text_or_none(&mut self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A directory or file path, with `//`, `/./` and slashes at the end removed.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text_or_none(key).map(|text| PathBuf::from(text).components().collect())
    }

    /// One or two numeric addresses, separated by a comma.
    pub(super) fn bind_addresses(&mut self, key: &str) -> Vec<IpAddr> {
        let Some(text) = self.text_or_none(key) else { return Vec::new() };
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let parse = |part: &&str| part.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let addresses: Option<Vec<IpAddr>> = parts.iter().map(parse).collect();
        match addresses.filter(|addresses| addresses.len() <= 2) {
            Some(addresses) => addresses,
            None => {
                self.refuse(
                    key,
                    format_args!("'{text}' is not one or two IP addresses, as 10.0.0.1 or 10.0.0.1,::1"),
                );
                Vec::new()
            }
        }
    }

    /// All servers that `key` names, without duplicates, in the order of their text.
    pub(super) fn servers(&mut self, key: &str, default_port: u16) -> Vec<ServerAddress> {
        let mut servers = Vec::new();
        for entry in self.ini.all("", key) {
            match ServerAddress::parse(&entry.value, default_port) {
                Ok(server) => servers.push(server),
                Err(why) => {
                    let hint = if entry.value.contains('#') {
                        "; '#' begins a comment only at the start of a line"
                    } else {
                        ""
                    };
                    self.found.error(&entry.place, format!("{key} = {}: {why}{hint}", entry.value));
                }
            }
        }
        servers.sort();
        servers.dedup();
        if servers.is_empty() && self.ini.last("", key).is_none() {
            self.refuse(key, "missing; write it before the first section, once for each server");
        } else if servers.len() > MAX_SERVERS {
            self.refuse(key, format_args!("{} servers; at most {MAX_SERVERS} are possible", servers.len()));
        }
        servers
    }

    /// All lines of these text keys before the first section, in the order of the file.
    pub(super) fn all(&self, names: &[&str]) -> Vec<&'a Entry> {
        debug_assert!(
            names.iter().all(|name| schema::find(self.file, name).is_some_and(|row| row.kind == Kind::Text)),
            "{names:?} are not in the schema as text"
        );
        let global = self.ini.sections().first().map_or(&[][..], |section| &section.entries);
        global.iter().filter(|entry| names.contains(&entry.name.as_str())).collect()
    }

    /// Refuses the file because of one line of a key that may have several.
    pub(super) fn refuse_line(&mut self, entry: &Entry, why: impl std::fmt::Display) {
        self.found.error(&entry.place, format!("{} = {}: {why}", entry.name, entry.value));
    }

    /// Warns about one line of a key that may have several.
    pub(super) fn warn_line(&mut self, entry: &Entry, why: impl std::fmt::Display) {
        self.found.warn(&entry.place, format!("{} = {}: {why}", entry.name, entry.value));
    }

    /// An integer that stands for a choice; an unknown one is `default`, with a warning.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(i64, T)], default: T) -> T {
        let Some(entry) = self.entry(key, Kind::Int) else { return default };
        let value = self.settle(entry, parse_int(&entry.value));
        match choices.iter().find(|(number, _)| *number == value) {
            Some((_, choice)) => *choice,
            None => {
                let known: Vec<String> = choices.iter().map(|(number, _)| number.to_string()).collect();
                let message =
                    format!("{key} = {}: not one of {}; read as the default", entry.value, known.join(", "));
                self.found.warn(&entry.place, message);
                default
            }
        }
    }
}

/// How a key's seconds are read. Those of FastDFS's daemons and module are read as C does, so that a file means the same to both;
/// the others have nginx's names and take its units.
fn seconds_parser(key: &str) -> fn(&str) -> Lenient<i64> {
    if key.starts_with("http.") && !key.starts_with("http.anti_steal.") {
        parse_seconds_with_unit
    } else {
        parse_seconds
    }
}
