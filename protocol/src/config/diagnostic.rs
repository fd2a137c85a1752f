//! What a reader of a configuration file is told: where, how bad, what was wrong, what it was read as, what to do.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// How bad a finding is. Any `Error` refuses the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Accepted as written; worth knowing.
    Info,
    /// Accepted, but probably not read as the writer meant.
    Warning,
    /// Refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A line of a file; line 0 means the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// Line, counted from 1.
    pub line: u32,
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: &Path) -> Self {
        Self { file: file.into(), line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// One finding, printed as `storage.conf:12: warning: ...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What was wrong, what it was read as, what to do.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity, self.message)
    }
}

/// Findings in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, severity: Severity, place: &Place, message: impl Into<String>) {
        self.0.push(Diagnostic { severity, place: place.clone(), message: message.into() });
    }

    /// Adds an error: the configuration will be refused.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.push(Severity::Error, place, message);
    }

    /// Adds a warning.
    pub fn warn(&mut self, place: &Place, message: impl Into<String>) {
        self.push(Severity::Warning, place, message);
    }

    /// Adds an information.
    pub fn info(&mut self, place: &Place, message: impl Into<String>) {
        self.push(Severity::Info, place, message);
    }

    /// The findings so far.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.0
    }

    /// Takes over another list.
    pub fn extend(&mut self, other: Vec<Diagnostic>) {
        self.0.extend(other);
    }

    /// `value` with all findings, each once, or a refusal if one of them is an error.
    pub fn finish<T>(mut self, path: &Path, value: T) -> Result<(T, Vec<Diagnostic>), ConfigError> {
        let mut seen = HashSet::new();
        self.0.retain(|found| seen.insert(found.clone()));
        if self.0.iter().any(|found| found.severity == Severity::Error) {
            return Err(ConfigError::Refused { path: path.to_owned(), diagnostics: self.0 });
        }
        Ok((value, self.0))
    }
}

/// A configuration file that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file itself could not be read.
    #[error("cannot read configuration file {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// At least one finding is an error. `Display` lists the errors, one a line.
    #[error("configuration file {path} is refused{errors}", path = .path.display(), errors = Errors(.diagnostics))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All findings, not only the errors.
        diagnostics: Vec<Diagnostic>,
    },
    /// The file says `disabled = true`.
    #[error("configuration file {path} says disabled = true", path = .path.display())]
    Disabled {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// The exit code that FastDFS's daemons and tools give in this case (an errno).
    pub fn exit_code(&self) -> u8 {
        const EIO: u8 = 5;
        const EINVAL: u8 = 22;
        const ECANCELED: u8 = 125;
        match self {
            Self::Read { source, .. } => {
                source.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(EIO)
            }
            Self::Refused { .. } => EINVAL,
            Self::Disabled { .. } => ECANCELED,
        }
    }

    /// All findings, where there are any.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Refused { diagnostics, .. } => diagnostics,
            Self::Read { .. } | Self::Disabled { .. } => &[],
        }
    }
}

struct Errors<'a>(&'a [Diagnostic]);

impl fmt::Display for Errors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in self.0.iter().filter(|found| found.severity == Severity::Error) {
            write!(f, "\n{found}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_print_like_a_compiler() {
        let place = Place { file: Path::new("storage.conf").into(), line: 12 };
        let mut found = Diagnostics::default();
        found.warn(&place, "a");
        found.error(&Place::whole(Path::new("storage.conf")), "b");
        let texts: Vec<_> = found.as_slice().iter().map(Diagnostic::to_string).collect();
        assert_eq!(texts, ["storage.conf:12: warning: a", "storage.conf: error: b"]);
        let refused = found.finish(Path::new("storage.conf"), ()).unwrap_err();
        assert_eq!(refused.to_string(), "configuration file storage.conf is refused\nstorage.conf: error: b");
        assert_eq!(refused.exit_code(), 22);
    }
}
