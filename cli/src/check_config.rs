//! `fdfs check-config`: what those who read a configuration file would say about it, without starting anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gateway::Settings;
use protocol::config::client_conf::IdSource;
use protocol::config::{
    ConfigError, Diagnostic, FileKind, Loaded, LocalFacts, Place, Severity, StorageIds, WebConf,
};
use protocol::daemon::Chain;
use serde_json::{Value, json};

use crate::output::print;

/// Check configuration files: tracker.conf, storage.conf, client.conf, storage_ids.conf, mod_fastdfs.conf, http.conf,
/// mime.types
///
/// Prints what the programs that read them would say: what is refused, what is probably not meant as it is read, and what
/// has no effect here, with what it does in FastDFS. Exits with 0, with 1 for warnings under --strict, and with 2 if a file
/// is refused.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files; which kind each is, its name tells, or else its content
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the files are, whatever they are called
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<KindName>,
    /// Let warnings fail the check
    #[arg(long)]
    strict: bool,
    /// Leave out what is only worth knowing
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Names of kinds on the command line: with or without their ending.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    #[value(alias = "tracker.conf")]
    Tracker,
    #[value(alias = "storage.conf")]
    Storage,
    #[value(alias = "client.conf")]
    Client,
    #[value(name = "storage_ids", aliases = ["storage-ids", "storage_ids.conf"])]
    StorageIds,
    #[value(name = "mod_fastdfs", aliases = ["mod-fastdfs", "mod_fastdfs.conf"])]
    Module,
    #[value(alias = "http.conf")]
    Http,
    #[value(name = "mime", alias = "mime.types")]
    MimeTypes,
}

impl From<KindName> for FileKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Tracker => Self::Tracker,
            KindName::Storage => Self::Storage,
            KindName::Client => Self::Client,
            KindName::StorageIds => Self::StorageIds,
            KindName::Module => Self::Module,
            KindName::Http => Self::Http,
            KindName::MimeTypes => Self::MimeTypes,
        }
    }
}

/// How the kind of a file is known.
#[derive(Debug, Clone, Copy)]
enum Known {
    Told,
    ByName,
    ByContent,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Told => "as told",
            Self::ByName => "by its name",
            Self::ByContent => "by its content",
        })
    }
}

/// What there is to say about a file.
struct Report {
    file: PathBuf,
    kind: Option<(FileKind, Known)>,
    findings: Vec<Diagnostic>,
}

/// Checks all files and prints what was found; the exit code of the worst.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let facts = LocalFacts::detect();
    let reports: Vec<Report> =
        args.files.iter().map(|file| Report::of(file, args.kind.map(FileKind::from), &facts)).collect();
    if args.json {
        let files: Vec<Value> = reports.iter().map(|report| report.to_json(args.quiet)).collect();
        print(format_args!("{:#}", Value::Array(files)));
    } else {
        reports.iter().for_each(|report| report.print(args.quiet));
    }
    match reports.iter().filter_map(Report::worst).max() {
        Some(Severity::Error) => ExitCode::from(2),
        Some(Severity::Warning) if args.strict => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

impl Report {
    fn of(file: &Path, told: Option<FileKind>, facts: &LocalFacts) -> Self {
        let (kind, findings) = match kind_of(file, told, facts) {
            Ok(kind) => (Some(kind), check(file, kind.0, facts)),
            Err(problem) => (None, vec![problem]),
        };
        Self { file: file.to_owned(), kind, findings }
    }

    fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|found| found.severity).max()
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|found| found.severity == severity).count()
    }

    fn verdict(&self) -> &'static str {
        if self.worst() == Some(Severity::Error) { "refused" } else { "accepted" }
    }

    fn shown(&self, quiet: bool) -> impl Iterator<Item = &Diagnostic> {
        self.findings.iter().filter(move |found| !quiet || found.severity > Severity::Info)
    }

    fn print(&self, quiet: bool) {
        self.shown(quiet).for_each(|found| print(format_args!("{found}")));
        let Some((kind, known)) = self.kind else { return };
        let all = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
        let counts: Vec<String> = all
            .iter()
            .map(|(severity, name)| (self.count(*severity), name))
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
            .collect();
        let counts = if counts.is_empty() { "nothing to say".to_owned() } else { counts.join(", ") };
        print(format_args!("{}: {} ({kind} {known}): {counts}", self.file.display(), self.verdict()));
    }

    fn to_json(&self, quiet: bool) -> Value {
        let finding = |found: &Diagnostic| {
            json!({
                "file": found.place.file.to_string_lossy(),
                "line": (found.place.line > 0).then_some(found.place.line),
                "severity": found.severity.to_string(),
                "message": found.message,
            })
        };
        json!({
            "file": self.file.to_string_lossy(),
            "kind": self.kind.map(|(kind, _)| kind.name()),
            "verdict": self.verdict(),
            "findings": self.shown(quiet).map(finding).collect::<Vec<_>>(),
        })
    }
}

fn problem(file: &Path, message: impl Into<String>) -> Diagnostic {
    Diagnostic { severity: Severity::Error, place: Place::whole(file), message: message.into() }
}

fn kind_of(file: &Path, told: Option<FileKind>, facts: &LocalFacts) -> Result<(FileKind, Known), Diagnostic> {
    let by_name = || FileKind::of_name(file).map(|kind| (kind, Known::ByName));
    if let Some(known) = told.map(|kind| (kind, Known::Told)).or_else(by_name) {
        return Ok(known);
    }
    let text = std::fs::read(file).map_err(|error| problem(file, format!("cannot be read: {error}")))?;
    let kind = FileKind::of_text(&String::from_utf8_lossy(&text), file, facts);
    kind.map(|kind| (kind, Known::ByContent)).ok_or_else(|| {
        problem(file, "neither its name nor its content tells which configuration file it is; say it by --as")
    })
}

/// What the readers of a file say, in the order of its lines.
fn check(file: &Path, kind: FileKind, facts: &LocalFacts) -> Vec<Diagnostic> {
    let mut findings = match kind.load(file, facts) {
        Some(Ok((loaded, mut findings))) => {
            findings.extend(check_named_files(file, &loaded, facts));
            findings
        }
        Some(Err(error)) => refusal(file, &error),
        None => check_mime_types(file),
    };
    let mut files: Vec<std::sync::Arc<Path>> = Vec::new();
    for found in &findings {
        if !files.contains(&found.place.file) {
            files.push(found.place.file.clone());
        }
    }
    findings.sort_by_key(|found| (files.iter().position(|file| *file == found.place.file), found.place.line));
    findings
}

fn refusal(file: &Path, error: &ConfigError) -> Vec<Diagnostic> {
    match error {
        ConfigError::Refused { diagnostics, .. } => diagnostics.clone(),
        ConfigError::Read { source, .. } => vec![problem(file, format!("cannot be read: {source}"))],
        ConfigError::Disabled { .. } => {
            vec![problem(file, "it says disabled = true, so nothing starts with it; remove the line")]
        }
    }
}

/// What is found when the files that a configuration names are read, as at a start.
fn check_named_files(file: &Path, loaded: &Loaded, facts: &LocalFacts) -> Vec<Diagnostic> {
    let ids = match loaded {
        Loaded::Tracker(conf) => conf.load_storage_ids(facts),
        Loaded::Client(conf) => conf.load_storage_ids(facts),
        Loaded::Module(conf) => match &conf.id_source {
            IdSource::File(path) => StorageIds::load(path, facts).map(Some),
            IdSource::None | IdSource::Tracker => Ok(None),
        },
        Loaded::Storage(_) | Loaded::StorageIds(_) | Loaded::Http(_) => Ok(None),
    };
    let mut findings = match ids {
        Ok(table) => table.map(|(_, found)| found).unwrap_or_default(),
        Err(ConfigError::Read { path, source }) => {
            vec![problem(file, format!("storage_ids_filename: cannot read {}: {source}", path.display()))]
        }
        Err(error) => refusal(file, &error),
    };
    let web = match loaded {
        Loaded::Storage(conf) => Some(&conf.web),
        Loaded::Module(conf) => Some(&conf.web),
        Loaded::Http(web) => Some(&**web),
        Loaded::Tracker(conf) => Some(&conf.web),
        Loaded::Client(_) | Loaded::StorageIds(_) => None,
    };
    findings.extend(web.and_then(|web| check_web(file, web)));
    findings
}

fn check_web(file: &Path, web: &WebConf) -> Option<Diagnostic> {
    // The timeout is of no account for what the files hold.
    let error = Settings::load(web, Duration::from_secs(30)).err()?;
    Some(problem(file, Chain(&error).to_string()))
}

/// Lines that give no type, which the gateway passes over.
fn check_mime_types(file: &Path) -> Vec<Diagnostic> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return vec![problem(file, format!("cannot be read: {error}"))],
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return vec![problem(file, "it is not UTF-8 text")];
    };
    let mut findings = Vec::new();
    for (line, message) in gateway::MimeTable::doubts(text) {
        let place = Place { file: file.into(), line };
        findings.push(Diagnostic { severity: Severity::Warning, place, message });
    }
    findings
}
