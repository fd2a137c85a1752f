//! Files in and out.

use std::fs::{self, File};
use std::future::ready;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use protocol::file_id::FileExt;
use protocol::storage::FileInfoFlags;
use protocol::{FileId, GroupName};
use serde_json::json;

use super::progress::bar;
use super::{ClusterArgs, parse_id};
use crate::clock::local_time;
use crate::info::{Asking, file_facts};
use crate::output::print;
use crate::session::{Session, open_regular};

/// Upload files and print their IDs
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Files to upload
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Group to upload to, instead of one that the tracker chooses
    #[arg(short, long, value_name = "GROUP", value_parser = |text: &str| GroupName::parse(text))]
    group: Option<GroupName>,
    /// Make appender files, which may grow
    #[arg(long)]
    appender: bool,
    /// Extension of the new names, instead of the files' own
    #[arg(long, value_name = "EXT", value_parser = |text: &str| FileExt::parse(text))]
    ext: Option<FileExt>,
    /// Print JSON, one object a file
    #[arg(long)]
    json: bool,
}

pub(super) fn upload(args: &UploadArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    for path in &args.files {
        let name = path.display();
        let (mut content, len) = open_regular(path).with_context(|| format!("cannot read {name}"))?;
        let own_ext = || path.to_str().map_or(FileExt::NONE, FileExt::of_file_name);
        let ext = args.ext.unwrap_or_else(own_ext);
        let bar = bar(&name.to_string(), len);
        let sent = |sent| bar.set_position(sent);
        let client = &session.client;
        let uploaded = if args.appender {
            session.wait(client.upload_appender(args.group, &mut content, len, ext, sent))
        } else {
            session.wait(client.upload(args.group, &mut content, len, ext, sent))
        };
        bar.finish_and_clear();
        let id = uploaded.with_context(|| format!("cannot upload {name}"))?;
        if args.json {
            print(format_args!("{}", json!({ "file": path, "file_id": id.to_string(), "size": len })));
        } else {
            print(format_args!("{id}"));
        }
    }
    Ok(())
}

/// Download a file
#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// File ID, or a URL that ends in one
    file: String,
    /// File to write, - for standard output; the last part of the ID unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// First byte wanted
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// Bytes wanted, 0 for all to the end
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    length: u64,
}

pub(super) fn download(args: &DownloadArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let id = parse_id(&args.file)?;
    let target = args.output.clone().unwrap_or_else(|| PathBuf::from(id.name.base_name()));
    let whole = args.offset == 0 && args.length == 0;
    let expected =
        id.name.code().ok().and_then(|code| code.size.size()).filter(|_| whole).unwrap_or(args.length);
    let bar = bar(&target.display().to_string(), expected);
    let mut received = 0;
    let mut fetch = |out: &mut dyn Write| {
        let wanted = session.client.download(&id, args.offset, args.length, |piece| {
            received += piece.len() as u64;
            bar.set_position(received);
            ready(out.write_all(&piece))
        });
        session.wait(wanted).with_context(|| format!("cannot download {id}"))
    };
    if target == Path::new("-") {
        fetch(&mut io::stdout().lock())?;
        return Ok(io::stdout().flush()?);
    }
    // Half a file must not pass for the whole.
    let mut part = target.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let named = || format!("cannot write {}", part.display());
    let mut file = File::create(&part).with_context(named)?;
    let outcome = fetch(&mut file).and_then(|_| {
        fs::rename(&part, &target).with_context(|| format!("cannot write {}", target.display()))
    });
    bar.finish_and_clear();
    if outcome.is_err() {
        // The reason is told already.
        let _ = fs::remove_file(&part);
    }
    outcome
}

/// Append a local file to an appender file
#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// ID of the appender file
    file: String,
    /// File whose content is appended
    local: PathBuf,
}

pub(super) fn append(args: &AppendArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let id = parse_id(&args.file)?;
    let name = args.local.display();
    let (mut content, len) = open_regular(&args.local).with_context(|| format!("cannot read {name}"))?;
    let bar = bar(&name.to_string(), len);
    let outcome = session.wait(session.client.append(&id, &mut content, len, |sent| bar.set_position(sent)));
    bar.finish_and_clear();
    outcome.with_context(|| format!("cannot append {name} to {id}"))
}

/// Delete files and their metadata
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// File IDs, or URLs that end in one
    #[arg(required = true)]
    files: Vec<String>,
}

pub(super) fn delete(args: &DeleteArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let ids = args.files.iter().map(|file| parse_id(file)).collect::<anyhow::Result<Vec<_>>>()?;
    for id in ids {
        session.wait(session.client.delete(&id)).with_context(|| format!("cannot delete {id}"))?;
    }
    Ok(())
}

/// Say what is known about a file: kind, source, time, size, CRC32
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// File ID, or a URL that ends in one
    file: String,
    /// Read the ID alone where it says all, without asking whether the file exists
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn info(args: &InfoArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let id = parse_id(&args.file)?;
    let asking = if args.offline { Asking::IfNeeded } else { Asking::Always };
    let text = describe(&session, &id, asking, args.json).with_context(|| format!("cannot describe {id}"))?;
    print(format_args!("{text}"));
    Ok(())
}

fn describe(session: &Session, id: &FileId, asking: Asking, as_json: bool) -> anyhow::Result<String> {
    let facts = file_facts(session, id, FileInfoFlags::QUIET, asking)?;
    let source = match (facts.source_id, facts.source_ip) {
        (0, Some(ip)) => ip.to_string(),
        (0, None) => String::new(),
        (number, Some(ip)) => format!("{number} ({ip})"),
        (number, None) => number.to_string(),
    };
    if as_json {
        let facts = json!({
            "file_id": id.to_string(),
            "kind": facts.kind,
            "size": facts.size,
            "crc32": format!("{:08x}", facts.crc32),
            "timestamp": facts.time,
            "source_id": facts.source_id,
            "source_ip": facts.source_ip,
            "from_server": facts.from_server,
        });
        return Ok(facts.to_string());
    }
    let exists = if facts.from_server { "" } else { " (by its ID; nobody was asked whether it exists)" };
    Ok(format!(
        "file    {id}\nkind    {}{exists}\nsize    {} bytes\ntime    {}\ncrc32   {:08x}\nsource  {source}",
        facts.kind,
        facts.size,
        local_time(facts.time),
        facts.crc32,
    ))
}
