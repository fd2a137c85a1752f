//! Upload, append, download, delete, regenerate: a tool each.

use std::fs::{self, File};
use std::future::ready;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;

use protocol::file_id::{FileExt, StorePathIndex};
use protocol::storage::{FileCreated, Upload, UploadAppender, UploadHead};
use protocol::{FileId, HostPort, Status};

use super::{Failure, Tool};
use crate::output::{complain, print};
use crate::session::{Session, open_regular};

const STORAGE_PORT: u16 = 23000;

pub(super) fn upload_file(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(local)) = (tool.argument(0), tool.argument(1)) else {
        return tool.usage("<config_file> <local_filename> [storage_ip:port] [store_path_index]");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let place = match place(&session, tool.argument(2), tool.argument(3)) {
        Ok(place) => place,
        Err(failure) => return failure.told_err("tracker_query_storage"),
    };
    finish_upload(upload(&session, place, local, Appender::No))
}

pub(super) fn upload_appender(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(local)) = (tool.argument(0), tool.argument(1)) else {
        return tool.usage("<config_file> <local_filename>");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let place = match place(&session, None, None) {
        Ok(place) => place,
        Err(failure) => return failure.told_err("tracker_query_storage"),
    };
    finish_upload(upload(&session, place, local, Appender::Yes))
}

fn finish_upload(uploaded: Result<FileId, Failure>) -> ExitCode {
    match uploaded {
        Ok(id) => {
            print(format_args!("{id}"));
            ExitCode::SUCCESS
        }
        Err(failure) => failure.told_err("upload file"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appender {
    Yes,
    No,
}

/// Where an upload goes.
#[derive(Debug, Clone, Copy)]
struct Place {
    storage: SocketAddr,
    store_path: Option<StorePathIndex>,
}

/// The storage that was named, or one that the tracker names. The tracker has to answer in both cases.
fn place(session: &Session, storage: Option<&str>, store_path: Option<&str>) -> Result<Place, Failure> {
    let answer = session.wait(session.client.trackers.query_store(None));
    let Some(storage) = storage else {
        let answer = answer?;
        let storage = SocketAddr::new(answer.server.ip, answer.server.port);
        return Ok(Place { storage, store_path: Some(answer.store_path) });
    };
    match answer {
        Err(error) if error.status().is_none() => return Err(error.into()),
        _ => {}
    }
    let invalid = Failure(Status::EINVAL.0);
    let named = HostPort::parse(storage, STORAGE_PORT).map_err(|_| invalid)?;
    let mut found = (named.host.as_str(), named.port).to_socket_addrs()?;
    let storage = found.next().ok_or(Failure(Status::ENOENT.0))?;
    let store_path = match store_path {
        None | Some("-1") => None,
        Some(index) => Some(StorePathIndex(index.parse().map_err(|_| invalid)?)),
    };
    Ok(Place { storage, store_path })
}

fn upload(session: &Session, place: Place, local: &str, appender: Appender) -> Result<FileId, Failure> {
    let (mut content, size) = open_regular(Path::new(local))?;
    let head = UploadHead { store_path: place.store_path, size, ext: FileExt::of_file_name(local) };
    let storages = &session.client.storages;
    let FileCreated(id) = match appender {
        Appender::No => session.wait(storages.send(place.storage, &Upload(head), &mut content, |_| {}))?,
        Appender::Yes => {
            session.wait(storages.send(place.storage, &UploadAppender(head), &mut content, |_| {}))?
        }
    };
    Ok(id)
}

pub(super) fn append_file(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(id), Some(local)) = (tool.argument(0), tool.argument(1), tool.argument(2)) else {
        return tool.usage("<config_file> <appender_file_id> <local_filename>");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let append = || {
        let id = tool.file_id(id)?;
        let (mut content, len) = open_regular(Path::new(local))?;
        Ok(session.wait(session.client.append(&id, &mut content, len, |_| {}))?)
    };
    match append() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => Failure::told_out(failure, "append file"),
    }
}

pub(super) fn download_file(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(id)) = (tool.argument(0), tool.argument(1)) else {
        return tool.usage("<config_file> <file_id> [local_filename] [<download_offset> <download_bytes>]");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    // Offset and length come as a pair or not at all.
    let number = |index| tool.argument(index).map_or(Ok(0), |text| text.parse::<u64>());
    let (offset, len) = match tool.argument(4) {
        None => (Ok(0), Ok(0)),
        Some(_) => (number(3), number(4)),
    };
    let local = tool.argument(2).unwrap_or_else(|| id.rsplit('/').next().unwrap_or(id));
    let outcome = match (offset, len, tool.file_id(id)) {
        (Ok(offset), Ok(len), Ok(id)) => download(&session, &id, Path::new(local), offset, len),
        _ => Err(Failure(Status::EINVAL.0)),
    };
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => failure.told_out("download file"),
    }
}

/// Downloads into `local`, which is made at the first byte, and removed if the rest does not come.
pub(super) fn download(
    session: &Session,
    id: &FileId,
    local: &Path,
    offset: u64,
    len: u64,
) -> Result<u64, Failure> {
    let mut file: Option<File> = None;
    let outcome = session.wait(session.client.download(id, offset, len, |piece| {
        let written = match &mut file {
            Some(file) => file.write_all(&piece),
            None => File::create(local).and_then(|new| file.insert(new).write_all(&piece)),
        };
        ready(written)
    }));
    match outcome {
        Ok(0) => {
            File::create(local)?;
            Ok(0)
        }
        Ok(len) => Ok(len),
        Err(error) => {
            if file.is_some() {
                // Half a file must not pass for the whole.
                let _ = fs::remove_file(local);
            }
            Err(error.into())
        }
    }
}

pub(super) fn delete_file(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(id)) = (tool.argument(0), tool.argument(1)) else {
        return tool.usage("<config_file> <file_id>");
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let delete = || Ok(session.wait(session.client.delete(&tool.file_id(id)?))?);
    match delete() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => Failure::told_out(failure, "delete file"),
    }
}

pub(super) fn regenerate_filename(tool: &Tool<'_>) -> ExitCode {
    let (Some(conf), Some(id)) = (tool.argument(0), tool.argument(1)) else {
        complain(format_args!("Usage: {} <config_file> <appender_file_id>", tool.name));
        return ExitCode::FAILURE;
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let regenerate = || Ok(session.wait(session.client.regenerate(&tool.file_id(id)?))?);
    match regenerate() {
        Ok(new) => {
            print(format_args!("{new}"));
            ExitCode::SUCCESS
        }
        Err(failure) => Failure::told_err(failure, format_args!("regenerate file {id}")),
    }
}
