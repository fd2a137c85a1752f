//! The dialect of FastDFS's state files: `key=value` lines, blanks trimmed, `#` comments and unknown keys ignored.

use std::collections::HashMap;
use std::fmt::Write;

/// A state file that was read.
pub(crate) struct StateText<'a>(HashMap<&'a str, &'a str>);

impl<'a> StateText<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect(),
        )
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    /// A number, as C's `strtoll` reads it: leading digits, else 0.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let end = text
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && *c == '-'))
            .map_or(text.len(), |(at, _)| at);
        Some(text[..end].parse().unwrap_or(0))
    }
}

/// Appends a line.
pub(crate) fn put(out: &mut String, key: &str, value: impl std::fmt::Display) {
    writeln!(out, "{key}={value}").expect("writing to a String cannot fail");
}
