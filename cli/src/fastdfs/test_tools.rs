//! `fdfs_test`, `fdfs_appender_test` and their `1` forms, which name a file by one ID instead of group and name.

use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{FileInfoFlags, MetadataMode};
use protocol::tracker::Server;
use protocol::{FileId, GroupName, Status};

use super::file_tools::download as download_to;
use super::{Failure, Tool};
use crate::clock::local_time;
use crate::info::{Asking, FileFacts, InfoError, file_facts};
use crate::output::{complain, print};
use crate::session::{Session, open_regular};

const EXIT_USAGE: u8 = 22;

/// Which form of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Group and name are two words.
    Two,
    /// A file ID is one.
    One,
}

/// How content is handed to the library: it changes the words that are printed, and the slave's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    File,
    Buffer,
    Callback,
}

impl Source {
    fn parse(word: Option<&str>) -> Option<Self> {
        match word {
            None | Some("FILE") => Some(Self::File),
            Some("BUFF") => Some(Self::Buffer),
            Some("CALLBACK") => Some(Self::Callback),
            Some(_) => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::File => "by_filename",
            Self::Buffer => "by_filebuff",
            Self::Callback => "by_callback",
        }
    }

    fn prefix(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::File, _) => "_big",
            (Self::Buffer, _) => "1024x1024",
            (Self::Callback, Form::Two) => "-small",
            (Self::Callback, Form::One) => "_small",
        }
    }
}

pub(super) fn test(tool: &Tool<'_>) -> ExitCode {
    run_test(tool, Form::Two)
}

pub(super) fn test1(tool: &Tool<'_>) -> ExitCode {
    run_test(tool, Form::One)
}

fn banner() {
    print(format_args!("fdfs {} test program, in the place of FastDFS's\n", env!("CARGO_PKG_VERSION")));
}

fn run_test(tool: &Tool<'_>, form: Form) -> ExitCode {
    banner();
    let (Some(conf), Some(operation)) = (tool.argument(0), tool.argument(1)) else {
        return tool.usage(
            "<config_file> <operation>\n\toperation: upload, download, getmeta, setmeta, delete and query_servers",
        );
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let rest = tool.arguments.get(2..).unwrap_or_default();
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let (file, words) = match (operation, form, words.as_slice()) {
        ("upload", _, [local, more @ ..]) => {
            return match Source::parse(more.first().copied()) {
                Some(source) => ended(upload(&session, form, local, source), "upload file"),
                None => operation_usage(tool, operation, form),
            };
        }
        (_, Form::Two, [group, name, more @ ..]) => (format!("{group}/{name}"), more.to_vec()),
        (_, Form::One, [id, more @ ..]) => ((*id).to_owned(), more.to_vec()),
        _ => return operation_usage(tool, operation, form),
    };
    const OPERATIONS: [&str; 5] = ["download", "getmeta", "setmeta", "delete", "query_servers"];
    if !OPERATIONS.contains(&operation) {
        return operation_usage(tool, operation, form);
    }
    let id = match tool.file_id(&file) {
        Ok(id) => id,
        Err(failure) => return failure.told_out(operation),
    };
    match (operation, words.as_slice()) {
        ("download", more) => ended(download(&session, &id, more.first().copied()), "download file"),
        ("getmeta", _) => ended(get_metadata(&session, &id), "getmeta"),
        ("setmeta", [flag, text, ..]) => match flag.chars().next() {
            Some('O') => ended(set_metadata(&session, &id, MetadataMode::Overwrite, text), "setmeta"),
            Some('M') => ended(set_metadata(&session, &id, MetadataMode::Merge, text), "setmeta"),
            _ => operation_usage(tool, operation, form),
        },
        ("delete", _) => ended(delete(&session, &id), "delete file"),
        ("query_servers", _) => ended(query_servers(&session, &id), "query_servers"),
        _ => operation_usage(tool, operation, form),
    }
}

fn ended(outcome: Result<(), Failure>, what: &str) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.told_out(what),
    }
}

fn operation_usage(tool: &Tool<'_>, operation: &str, form: Form) -> ExitCode {
    let file = match form {
        Form::Two => "<group_name> <remote_filename>",
        Form::One => "<file_id>",
    };
    let words = match operation {
        "upload" => "<local_filename> [FILE | BUFF | CALLBACK]".to_owned(),
        "download" => format!("{file} [local_filename]"),
        "setmeta" => {
            format!(
                "{file} <op_flag> <metadata_list>\n\top_flag: O for overwrite, M for merge\n\tmetadata_list: name1=value1,name2=value2,..."
            )
        }
        "getmeta" | "delete" | "query_servers" => file.to_owned(),
        _ => {
            print(format_args!("invalid operation: {operation}"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    print(format_args!("Usage: {} <config_file> {operation} {words}", tool.name));
    ExitCode::from(EXIT_USAGE)
}

fn upload(session: &Session, form: Form, local: &str, source: Source) -> Result<(), Failure> {
    // FastDFS's second form asks for the group that its samples use.
    let group = match form {
        Form::Two => None,
        Form::One => Some(GroupName::parse("group1").map_err(|_| Failure(Status::EINVAL.0))?),
    };
    list_places(session, group)?;
    let place = session.wait(session.client.trackers.query_store(group))?;
    let Server { ip, port } = place.server;
    print(format_args!("group_name={}, ip_addr={ip}, port={port}", place.group));

    let (mut content, len) = open_regular(Path::new(local))?;
    let ext = FileExt::of_file_name(local);
    let metadata = metadata_of(ext, len);
    print(format_args!("storage_upload_{}", source.suffix()));
    let id = session.wait(session.client.upload(group, &mut content, len, ext, |_| {}))?;
    session.wait(session.client.set_metadata(&id, MetadataMode::Overwrite, metadata.clone()))?;
    describe(session, form, &id, ip)?;

    let (mut content, len) = open_regular(Path::new(local))?;
    print(format_args!("storage_upload_slave_{}", source.suffix()));
    let prefix = SlavePrefix::parse(source.prefix(form)).map_err(|_| Failure(Status::EINVAL.0))?;
    let slave = session.wait(session.client.upload_slave(&id, prefix, ext, &mut content, len))?;
    session.wait(session.client.set_metadata(&slave, MetadataMode::Overwrite, metadata))?;
    describe(session, form, &slave, ip)
}

fn list_places(session: &Session, group: Option<GroupName>) -> Result<(), Failure> {
    let places = session.wait(session.client.trackers.query_store_all(group))?;
    let (name, shown) = match group {
        Some(group) => ("with_group", group.to_string()),
        // The group of the answer is not in the list, in FastDFS either.
        None => ("without_group", String::new()),
    };
    let mut text = format!("tracker_query_storage_store_list_{name}: \n");
    for (index, Server { ip, port }) in places.servers.iter().enumerate() {
        text.push_str(&format!("\tserver {}. group_name={shown}, ip_addr={ip}, port={port}\n", index + 1));
    }
    print(format_args!("{text}"));
    Ok(())
}

/// The rows that FastDFS's program sets on its test files.
fn metadata_of(ext: FileExt, len: u64) -> Bytes {
    let rows = [
        ("ext_name", ext.as_str().to_owned()),
        ("file_size", len.to_string()),
        ("height", "80".to_owned()),
        ("width", "160".to_owned()),
    ];
    let rows: Vec<String> = rows.into_iter().map(|(name, value)| format!("{name}\u{2}{value}")).collect();
    rows.join("\u{1}").into()
}

fn describe(session: &Session, form: Form, id: &FileId, ip: IpAddr) -> Result<(), Failure> {
    if form == Form::Two {
        print(format_args!("group_name={}, remote_filename={}", id.group, id.name));
    }
    let facts = facts(session, id)?;
    print_facts(&facts);
    print(format_args!("file crc32={}", facts.crc32));
    print(format_args!("example file url: http://{}/{id}", url_host(ip)));
    Ok(())
}

fn facts(session: &Session, id: &FileId) -> Result<FileFacts, Failure> {
    file_facts(session, id, FileInfoFlags::default(), Asking::IfNeeded).map_err(|error| match error {
        InfoError::Name(_) => Failure(Status::EINVAL.0),
        InfoError::Client(error) => error.into(),
    })
}

fn print_facts(facts: &FileFacts) {
    let ip = facts.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
    print(format_args!(
        "source ip address: {ip}\nfile timestamp={}\nfile size={}",
        local_time(facts.time),
        facts.size
    ));
}

fn url_host(ip: IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

fn say_storage(server: Server) {
    print(format_args!("storage={}", SocketAddr::new(server.ip, server.port)));
}

fn download(session: &Session, id: &FileId, local: Option<&str>) -> Result<(), Failure> {
    say_storage(session.wait(session.client.trackers.query_fetch(id))?.server);
    if local == Some("CALLBACK") {
        let size = session.wait(session.client.download(id, 0, 0, |_| ready(Ok(()))))?;
        print(format_args!("download file success, file size={size}"));
        return Ok(());
    }
    let local = local.unwrap_or_else(|| id.name.base_name());
    let size = download_to(session, id, Path::new(local), 0, 0)?;
    print(format_args!("download file success, file size={size}, file save to {local}"));
    Ok(())
}

fn get_metadata(session: &Session, id: &FileId) -> Result<(), Failure> {
    say_storage(session.wait(session.client.trackers.query_update(id))?.server);
    let text = session.wait(session.client.metadata(id))?;
    let text = String::from_utf8_lossy(&text);
    let rows: Vec<(&str, &str)> = text.split('\u{1}').filter_map(|row| row.split_once('\u{2}')).collect();
    print(format_args!("get meta data success, meta count={}", rows.len()));
    for (name, value) in rows {
        print(format_args!("{name}={value}"));
    }
    Ok(())
}

fn set_metadata(session: &Session, id: &FileId, mode: MetadataMode, text: &str) -> Result<(), Failure> {
    say_storage(session.wait(session.client.trackers.query_update(id))?.server);
    let rows: Vec<String> = text
        .split(',')
        .filter_map(|row| row.split_once('='))
        .map(|(name, value)| format!("{}\u{2}{}", name.trim(), value.trim()))
        .collect();
    session.wait(session.client.set_metadata(id, mode, rows.join("\u{1}").into()))?;
    print(format_args!("set meta data success"));
    Ok(())
}

fn delete(session: &Session, id: &FileId) -> Result<(), Failure> {
    say_storage(session.wait(session.client.trackers.query_update(id))?.server);
    session.wait(session.client.delete(id))?;
    print(format_args!("delete file success"));
    Ok(())
}

fn query_servers(session: &Session, id: &FileId) -> Result<(), Failure> {
    let servers = session.wait(session.client.trackers.query_fetch_all(id))?.servers;
    let mut text = format!("server list ({}):\n", servers.len());
    for Server { ip, port } in servers {
        text.push_str(&format!("\t{}\n", SocketAddr::new(ip, port)));
    }
    print(format_args!("{text}"));
    Ok(())
}

pub(super) fn appender_test(tool: &Tool<'_>) -> ExitCode {
    run_appender_test(tool, Form::Two)
}

pub(super) fn appender_test1(tool: &Tool<'_>) -> ExitCode {
    run_appender_test(tool, Form::One)
}

fn run_appender_test(tool: &Tool<'_>, form: Form) -> ExitCode {
    banner();
    let (Some(conf), Some(local), Some(source)) =
        (tool.argument(0), tool.argument(1), Source::parse(tool.argument(2)))
    else {
        return tool.usage("<config_file> <local_filename> [FILE | BUFF | CALLBACK]");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    ended(try_appender(&session, form, local, source), "appender test")
}

/// Upload, truncate, append, modify at the end, with the file's facts after each.
fn try_appender(session: &Session, form: Form, local: &str, source: Source) -> Result<(), Failure> {
    let place = session.wait(session.client.trackers.query_store(None))?;
    let Server { ip, port } = place.server;
    print(format_args!("group_name={}, ip_addr={ip}, port={port}", place.group));
    let tracker = session.trackers.first().map(|tracker| tracker.host.clone()).unwrap_or_default();
    let url = |id: &FileId| print(format_args!("file url: http://{tracker}/{id}"));

    let (mut content, len) = open_regular(Path::new(local))?;
    let ext = FileExt::of_file_name(local);
    let id = session.wait(session.client.upload_appender(None, &mut content, len, ext, |_| {}))?;
    match form {
        Form::Two => print(format_args!(
            "storage_upload_appender_{}\ngroup_name={}, remote_filename={}",
            source.suffix(),
            id.group,
            id.name
        )),
        // FastDFS's misspelling.
        Form::One => print(format_args!("storage_upload_appender_{}1\nfild_id={id}", source.suffix())),
    }
    let uploaded = facts(session, &id)?;
    print_facts(&uploaded);
    print(format_args!("file crc32={}", uploaded.crc32));
    url(&id);
    expect_size(&uploaded, len);

    let cut = if form == Form::Two { len / 2 } else { 0 };
    session.wait(session.client.truncate(&id, cut))?;
    let truncated = facts(session, &id)?;
    print_facts(&truncated);
    print(format_args!("file crc32={}", truncated.crc32));
    url(&id);
    expect_size(&truncated, cut);

    let (mut content, len) = open_regular(Path::new(local))?;
    session.wait(session.client.append(&id, &mut content, len, |_| {}))?;
    // Where content is not a file, the second form has names of its own.
    let one = if form == Form::One && source != Source::File { "1" } else { "" };
    print(format_args!("storage_append_{}{one}\nappend file successfully.", source.suffix()));
    let appended = facts(session, &id)?;
    print_facts(&appended);
    expect_size(&appended, cut + len);

    let (mut content, len) = open_regular(Path::new(local))?;
    session.wait(session.client.modify(&id, cut + len, &mut content, len))?;
    print(format_args!("storage_modify_{}{one}\nmodify file successfully.", source.suffix()));
    let modified = facts(session, &id)?;
    print_facts(&modified);
    expect_size(&modified, cut + 2 * len);
    Ok(())
}

fn expect_size(facts: &FileFacts, expected: u64) {
    if facts.size != expected {
        complain(format_args!("file size: {} != {expected}!!!", facts.size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_fastdfs_words() {
        for (word, form, expected) in [
            (None, Form::Two, Some(("by_filename", "_big"))),
            (Some("FILE"), Form::One, Some(("by_filename", "_big"))),
            (Some("BUFF"), Form::Two, Some(("by_filebuff", "1024x1024"))),
            (Some("CALLBACK"), Form::Two, Some(("by_callback", "-small"))),
            (Some("CALLBACK"), Form::One, Some(("by_callback", "_small"))),
            (Some("other"), Form::Two, None),
        ] {
            let got = Source::parse(word).map(|source| (source.suffix(), source.prefix(form)));
            assert_eq!(got, expected, "{word:?}");
        }
    }

    #[test]
    fn metadata_rows_are_packed_by_name() {
        let text = metadata_of(FileExt::parse("txt").unwrap(), 6);
        assert_eq!(&text[..], b"ext_name\x02txt\x01file_size\x026\x01height\x0280\x01width\x02160");
    }
}
