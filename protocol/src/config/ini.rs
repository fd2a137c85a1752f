//! FastDFS's INI dialect: files become sections of entries that know their file and line.
//!
//! Owns lines, sections, pairs, includes and limits. Directives (`#@...`) are run by [`super::directives`], one file at a
//! time, before its lines are read; an included file sees the variables that its includer has set.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostics, Place};
use super::directives::{self, Line, Variables};
use super::local_facts::LocalFacts;

/// Longest name in bytes; the reference cuts longer ones.
const MAX_NAME_LEN: usize = 63;
/// Longest value in bytes; the reference cuts longer ones.
pub(super) const MAX_VALUE_LEN: usize = 255;
/// Largest file that is read; a configuration is far smaller.
const MAX_FILE_LEN: u64 = 4 << 20;
/// Includes inside includes, so that a file which includes itself ends.
const MAX_INCLUDE_DEPTH: usize = 8;
/// Includes in all.
const MAX_INCLUDES: usize = 256;

/// One `name = value` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, not empty.
    pub name: String,
    /// Value, possibly empty.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
}

/// A configuration with all its includes. The global section has the empty name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ini {
    path: Arc<Path>,
    sections: Vec<Section>,
}

impl Ini {
    /// Reads the file at `path` (which may begin with `file://`) and all it includes.
    pub fn load(path: &Path, facts: &LocalFacts, found: &mut Diagnostics) -> Result<Self, ConfigError> {
        let path = path.to_str().and_then(|text| text.strip_prefix("file://")).map_or(path, Path::new);
        let text = read_text(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Ok(Self::parse(&text, path, facts, found))
    }

    /// Reads `text` as the content of the file `path`; only includes are read from disk.
    pub fn parse(text: &str, path: &Path, facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        let file: Arc<Path> = path.into();
        let mut loader = Loader {
            facts,
            found,
            variables: Variables::new(),
            base: path.parent().map(Path::to_owned).unwrap_or_default(),
            sections: vec![Section { name: String::new(), entries: Vec::new() }],
            index: BTreeMap::from([(String::new(), 0)]),
            current: 0,
            includes: 0,
        };
        loader.read(text, &file, 0);
        Self { path: file, sections: loader.sections }
    }

    /// The top-level file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The top-level file as a place, for findings about what is missing.
    pub fn whole(&self) -> Place {
        Place { file: self.path.clone(), line: 0 }
    }

    /// `name` of a value that names a file: relative ones are relative to the top-level file.
    pub fn relative(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    /// Whether a section of that name exists.
    pub fn has_section(&self, section: &str) -> bool {
        self.sections.iter().any(|found| found.name == section)
    }

    /// All entries of `key` in `section`, in file order.
    pub fn all<'a>(&'a self, section: &str, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        let section = self.sections.iter().find(|found| found.name == section);
        section.into_iter().flat_map(|found| &found.entries).filter(move |entry| entry.name == key)
    }

    /// The entry that counts for a scalar: the last.
    pub fn last(&self, section: &str, key: &str) -> Option<&Entry> {
        let section = self.sections.iter().find(|found| found.name == section)?;
        section.entries.iter().rev().find(|entry| entry.name == key)
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Removes the entries of a key and hands them out.
    pub(super) fn take(&mut self, section: &str, key: &str) -> Vec<Entry> {
        match self.sections.iter_mut().find(|found| found.name == section) {
            Some(found) => found.entries.extract_if(.., |entry| entry.name == key).collect(),
            None => Vec::new(),
        }
    }

    /// Adds an entry, as a file would have by a further line.
    pub(super) fn add(&mut self, section: &str, entry: Entry) {
        match self.sections.iter_mut().find(|found| found.name == section) {
            Some(found) => found.entries.push(entry),
            None => self.sections.push(Section { name: section.to_owned(), entries: vec![entry] }),
        }
    }
}

/// File content as text. FastDFS files may hold comments in any encoding, so bytes that are no UTF-8 are replaced.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > MAX_FILE_LEN {
        let message =
            format!("{length} bytes are too many for a configuration file (at most {MAX_FILE_LEN})");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Trims what the reference trims.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// The first `limit` bytes of `text`, less if that would split a character.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

struct Loader<'a> {
    facts: &'a LocalFacts,
    found: &'a mut Diagnostics,
    variables: Variables,
    /// Directory of the top-level file: the base of every relative include.
    base: PathBuf,
    sections: Vec<Section>,
    index: BTreeMap<String, usize>,
    current: usize,
    includes: usize,
}

impl Loader<'_> {
    fn read(&mut self, text: &str, file: &Arc<Path>, depth: usize) {
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => {
                let place = Place { file: file.clone(), line: 1 };
                self.found.warn(
                    &place,
                    "the file begins with a byte order mark, which spoils this line for FastDFS; remove the mark",
                );
                rest
            }
            None => text,
        };
        let lines = (1..).zip(text.split('\n')).map(|(number, text)| Line { text: text.to_owned(), number });
        let lines = directives::expand(lines.collect(), file, &mut self.variables, self.facts, self.found);
        let mut function: Option<(String, Place)> = None;
        for line in &lines {
            let place = Place { file: file.clone(), line: line.number };
            let text = trim(&line.text);
            if let Some(name) = directives::argument(text, "#@function") {
                function = Some((name.to_owned(), place));
                continue;
            }
            let pending = function.take();
            if let Some((name, at)) = &pending
                && (text.starts_with(['#', '[']) || !text.contains('='))
            {
                let message =
                    format!("#@function {name} has no 'key = value' on the next line; it does nothing");
                self.found.warn(at, message);
            }
            if text.starts_with('#') {
                self.comment(text, &place, depth);
            } else if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                self.enter(trim(name));
            } else if !text.is_empty() {
                self.pair(text, &place, pending.map(|(name, _)| name));
            }
        }
        if let Some((name, at)) = function {
            self.found.warn(&at, format!("#@function {name} is the last line; it does nothing"));
        }
    }

    fn enter(&mut self, name: &str) {
        let next = self.sections.len();
        self.current = *self.index.entry(name.to_owned()).or_insert(next);
        if self.current == next {
            self.sections.push(Section { name: name.to_owned(), entries: Vec::new() });
        }
    }

    fn comment(&mut self, text: &str, place: &Place, depth: usize) {
        if let Some(name) = include_argument(text) {
            self.include(name, place, depth);
            return;
        }
        if directives::argument(text, "#@add_annotation").is_some() {
            self.found.error(
                place,
                "#@add_annotation loads a library into the process, which is not supported; write the values themselves",
            );
        } else if text.starts_with("#@") {
            let name = text.split_whitespace().next().unwrap_or(text);
            let message = match name {
                "#@if" => {
                    "#@if has no #@endif; the lines after it are read whatever the condition says".to_owned()
                }
                "#@for" => {
                    "#@for has no #@endfor; the lines after it are read once and as they stand".to_owned()
                }
                "#@set" => "#@set needs NAME = VALUE; read as a comment".to_owned(),
                "#@else" | "#@endif" | "#@endfor" => {
                    format!("{name} closes nothing (blocks do not nest); read as a comment")
                }
                _ => format!("{name} is not a directive; read as a comment"),
            };
            self.found.warn(place, message);
        }
    }

    fn include(&mut self, name: &str, place: &Place, depth: usize) {
        let name = name.strip_prefix("file://").unwrap_or(name);
        if name.starts_with("http://") || name.starts_with("https://") {
            let message = format!(
                "#include {name}: files are not fetched over HTTP; copy it here and include the copy"
            );
            self.found.error(place, message);
            return;
        }
        self.includes += 1;
        if depth >= MAX_INCLUDE_DEPTH || self.includes > MAX_INCLUDES {
            let message = format!(
                "#include {name}: more than {MAX_INCLUDE_DEPTH} includes inside each other or {MAX_INCLUDES} in all; \
                 does a file include itself?"
            );
            self.found.error(place, message);
            return;
        }
        let path = self.base.join(name);
        match read_text(&path) {
            Ok(text) => {
                self.current = 0;
                self.read(&text, &path.into(), depth + 1);
                self.current = 0;
            }
            Err(error) => {
                let message =
                    format!("cannot include {}: {error}; correct or remove this line", path.display());
                self.found.error(place, message);
            }
        }
    }

    fn pair(&mut self, text: &str, place: &Place, function: Option<String>) {
        let Some((name, value)) = text.split_once('=') else {
            let message = format!("'{text}' is not 'key = value'; the line is skipped");
            self.found.warn(place, message);
            return;
        };
        let name = self.limited("name", trim(name), MAX_NAME_LEN, place);
        if name.is_empty() {
            self.found.warn(place, "no key before '='; the line is skipped");
            return;
        }
        let value = trim(value);
        let values = match function {
            Some(function) => {
                directives::call(&function, value, &self.variables, self.facts, place, self.found)
            }
            None => vec![value.to_owned()],
        };
        for value in values {
            let value = self.limited("value", &value, MAX_VALUE_LEN, place);
            let entry = Entry { name: name.clone(), value, place: place.clone() };
            self.sections[self.current].entries.push(entry);
        }
    }

    fn limited(&mut self, what: &str, text: &str, limit: usize, place: &Place) -> String {
        let kept = cut(text, limit);
        if kept.len() < text.len() {
            let message =
                format!("this {what} has {} bytes; read as its first {}: {kept}", text.len(), kept.len());
            self.found.warn(place, message);
        }
        if kept.contains(char::REPLACEMENT_CHARACTER) {
            let message = format!("this {what} is not UTF-8; read as {kept}; save the file as UTF-8");
            self.found.warn(place, message);
        }
        kept.to_owned()
    }
}

/// The file of an `#include FILE` line: the word in any case, directly behind one `#`, then a blank or tab.
fn include_argument(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked("#include".len())?;
    let separated = word.eq_ignore_ascii_case("#include") && rest.starts_with([' ', '\t']);
    separated.then(|| trim(rest)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
