//! The client commands of `fdfs`: upload, download, delete, info, append, metadata, monitor, sign-url.
//!
//! FastDFS's own tools, with their arguments and their output, are in [`crate::fastdfs`].

mod files;
mod metadata;
mod monitor;
mod progress;
mod sign_url;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use protocol::{FileId, HostPort};

use crate::session::Session;

const TRACKER_PORT: u16 = 22122;
/// Where FastDFS's clients keep their configuration.
const SITE_CONF: &str = "/etc/fdfs/client.conf";
/// The tracker of `fdfs dev`.
const LOCAL_TRACKER: &str = "127.0.0.1:22122";

/// Which cluster is meant.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Tracker to ask; may be given several times. Without it and --config: /etc/fdfs/client.conf if that
    /// exists, else 127.0.0.1:22122
    #[arg(short, long, value_name = "HOST[:PORT]", conflicts_with = "config")]
    tracker: Vec<String>,
    /// FastDFS's client.conf
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ClusterArgs {
    fn open(&self) -> anyhow::Result<Session> {
        let conf = match &self.config {
            Some(path) => Some(path.as_path()),
            None if self.tracker.is_empty() => Some(Path::new(SITE_CONF)).filter(|path| path.exists()),
            None => None,
        };
        if let Some(path) = conf {
            return Ok(Session::of_conf(path)?);
        }
        let local = [LOCAL_TRACKER.to_owned()];
        let names = if self.tracker.is_empty() { &local[..] } else { &self.tracker };
        let trackers =
            names.iter().map(|name| HostPort::parse(name, TRACKER_PORT)).collect::<Result<Vec<_>, _>>()?;
        Session::of_trackers(trackers).context("cannot start the client")
    }
}

/// A command that asks a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    Upload(files::UploadArgs),
    Download(files::DownloadArgs),
    Append(files::AppendArgs),
    Delete(files::DeleteArgs),
    Info(files::InfoArgs),
    Meta(metadata::MetaArgs),
    Monitor(monitor::MonitorArgs),
    SignUrl(sign_url::SignUrlArgs),
}

/// Runs the command.
pub(crate) fn run(command: &ClientCommand) -> anyhow::Result<()> {
    match command {
        ClientCommand::Upload(args) => files::upload(args),
        ClientCommand::Download(args) => files::download(args),
        ClientCommand::Append(args) => files::append(args),
        ClientCommand::Delete(args) => files::delete(args),
        ClientCommand::Info(args) => files::info(args),
        ClientCommand::Meta(args) => metadata::run(args),
        ClientCommand::Monitor(args) => monitor::run(args),
        ClientCommand::SignUrl(args) => sign_url::run(args),
    }
}

/// Parses a file ID, also from a URL or path that ends in one.
fn parse_id(text: &str) -> anyhow::Result<FileId> {
    if let Ok(id) = FileId::parse(text) {
        return Ok(id);
    }
    let path =
        text.split_once("://").map_or(text, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    match FileId::parse(path) {
        Ok(id) => Ok(id),
        Err(error) => bail!("'{text}' is no file ID such as group1/M00/00/00/NAME.txt: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_urls() {
        let id = "group1/M00/00/02/wAACAmsDYWyADTFLAAAABTYQpoY219.txt";
        for text in [
            id.to_owned(),
            format!("/{id}"),
            format!("http://127.0.0.1:8888/{id}"),
            format!("https://files.example/{id}?filename=a.txt"),
        ] {
            assert_eq!(parse_id(&text).unwrap().to_string(), id, "{text}");
        }
        for text in ["", "http://127.0.0.1:8888", "group1", "group1/x.txt"] {
            assert!(parse_id(text).is_err(), "{text}");
        }
    }
}
