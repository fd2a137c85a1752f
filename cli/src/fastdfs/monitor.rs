//! `fdfs_monitor`: list groups and storages, delete them, choose a trunk server.

use std::path::Path;
use std::process::ExitCode;

use protocol::client::{ClientError, TrackerClient};
use protocol::cluster::StorageStatus;
use protocol::{GroupName, HostPort, Status, StorageId};

use super::{Failure, Tool};
use crate::monitor::GroupView;
use crate::output::print;
use crate::session::Session;

const DEFAULT_CONF: &str = "/etc/fdfs/client.conf";
const TRACKER_PORT: u16 = 22122;

/// What the words of the command line say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked<'a> {
    conf: Option<&'a str>,
    tracker: Option<&'a str>,
    words: Vec<&'a str>,
}

pub(super) fn run(tool: &Tool<'_>) -> ExitCode {
    let arguments: Vec<&str> = tool.arguments.iter().map(String::as_str).collect();
    if arguments == ["-h"] {
        usage(tool);
        return ExitCode::SUCCESS;
    }
    let Some(asked) = parse(&arguments) else {
        usage(tool);
        return ExitCode::FAILURE;
    };
    let session = match tool.session(asked.conf.unwrap_or(DEFAULT_CONF)) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let (index, tracker) = match choose(&session, asked.tracker) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    print(format_args!(
        "tracker server count={}, current server index={index}\n\ntracker server is {}\n",
        session.trackers.len(),
        shown(&tracker)
    ));
    act(tool, &session, &session.tracker(&tracker), &asked.words)
}

fn act(tool: &Tool<'_>, session: &Session, tracker: &TrackerClient, words: &[&str]) -> ExitCode {
    let outcome = match words {
        [] | ["list"] => list(session, tracker, None),
        ["list", group, ..] => list(session, tracker, Some(group)),
        ["delete", group] => delete_group(session, group),
        ["delete", group, id, ..] => delete_storage(session, group, id),
        ["set_trunk_server", group, rest @ ..] => {
            set_trunk_server(session, tracker, group, rest.first().copied())
        }
        ["delete" | "set_trunk_server"] => {
            usage(tool);
            return ExitCode::FAILURE;
        }
        [other, ..] => {
            print(format_args!("Invalid command {other}\n"));
            usage(tool);
            Err(Failure(Status::EINVAL.0))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

/// The configuration comes first; `-h TRACKER` may stand before or behind the command.
fn parse<'a>(arguments: &[&'a str]) -> Option<Asked<'a>> {
    let mut asked = Asked::default();
    let mut left = arguments.iter();
    while let Some(&argument) = left.next() {
        match argument.strip_prefix("-h") {
            Some("") => asked.tracker = Some(left.next()?),
            Some(tracker) => asked.tracker = Some(tracker),
            None if asked.conf.is_none() => asked.conf = Some(argument),
            None => asked.words.push(argument),
        }
    }
    Some(asked)
}

/// The tracker that was named, or one at random.
fn choose(session: &Session, named: Option<&str>) -> Result<(usize, HostPort), ExitCode> {
    let trackers = &session.trackers;
    let Some(named) = named else {
        if trackers.is_empty() {
            return Err(Failure(Status::ENOENT.0).exit());
        }
        let index = fastrand::usize(..trackers.len());
        return trackers.get(index).map(|tracker| (index, tracker.clone())).ok_or(ExitCode::FAILURE);
    };
    let wanted = HostPort::parse(named, TRACKER_PORT).ok();
    let found = trackers.iter().position(|tracker| Some(tracker) == wanted.as_ref());
    match found.and_then(|index| trackers.get(index).map(|tracker| (index, tracker.clone()))) {
        Some(chosen) => Ok(chosen),
        None => {
            print(format_args!("tracker server: {named} not exists!"));
            Err(Failure(Status::ENOENT.0).exit())
        }
    }
}

fn shown(tracker: &HostPort) -> String {
    tracker.to_string()
}

fn list(session: &Session, tracker: &TrackerClient, group: Option<&str>) -> Result<(), Failure> {
    let Some(group) = group else {
        let groups = session.wait(tracker.groups())?;
        print(format_args!("group count: {}", groups.len()));
        for (index, group) in groups.into_iter().enumerate() {
            let storages = session.wait(tracker.storages(group.name, None))?.storages;
            let view = GroupView { group, storages };
            print(format_args!("\nGroup {}:\n{}", index + 1, view.text().trim_end_matches('\n')));
        }
        return Ok(());
    };
    // An unknown group is an empty list.
    let Ok(name) = GroupName::parse(group) else { return Ok(()) };
    let group = match session.wait(tracker.group(name)) {
        Err(error) if error.status() == Some(Status::ENOENT) => return Ok(()),
        group => group?,
    };
    let Some(group) = group else { return Ok(()) };
    let storages = session.wait(tracker.storages(name, None))?.storages;
    print(format_args!("{}", GroupView { group, storages }.text().trim_end_matches('\n')));
    Ok(())
}

/// Asks every tracker; the first that refuses ends it.
fn at_each(
    session: &Session,
    call: impl AsyncFn(&TrackerClient) -> Result<(), ClientError>,
) -> Result<(), Failure> {
    for tracker in &session.trackers {
        session.wait(call(&session.tracker(tracker)))?;
    }
    Ok(())
}

fn told(what: String, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Ok(()) => print(format_args!("{what} success")),
        Err(failure) => print(format_args!("{}", failure.line(&what))),
    }
    outcome
}

fn group_name(text: &str) -> Result<GroupName, Failure> {
    GroupName::parse(text).map_err(|_| Failure(Status::EINVAL.0))
}

fn delete_group(session: &Session, group: &str) -> Result<(), Failure> {
    let delete = || {
        let name = group_name(group)?;
        at_each(session, async |tracker: &TrackerClient| tracker.delete_group(name).await)
    };
    told(format!("delete group: {group}"), delete())
}

fn delete_storage(session: &Session, group: &str, id: &str) -> Result<(), Failure> {
    let delete = || {
        let name = group_name(group)?;
        let storage = StorageId::parse(id).map_err(|_| Failure(Status::EINVAL.0))?;
        must_be_gone(session, name, storage)?;
        at_each(session, async |tracker: &TrackerClient| tracker.delete_storage(name, storage).await)
    };
    told(format!("delete storage server {group}::{id}"), delete())
}

/// Refuses while any tracker sees the storage at work, or when none knows it.
fn must_be_gone(session: &Session, group: GroupName, id: StorageId) -> Result<(), Failure> {
    let mut known = false;
    for tracker in &session.trackers {
        let found = match session.wait(session.tracker(tracker).storages(group, Some(id))) {
            Err(error) if error.status() == Some(Status::ENOENT) => continue,
            found => found?.storages,
        };
        known |= !found.is_empty();
        let at_work = [StorageStatus::ONLINE, StorageStatus::ACTIVE];
        if found.iter().any(|storage| at_work.contains(&storage.status)) {
            return Err(Failure(Status::EBUSY.0));
        }
    }
    if known { Ok(()) } else { Err(Failure(Status::ENOENT.0)) }
}

fn set_trunk_server(
    session: &Session,
    tracker: &TrackerClient,
    group: &str,
    id: Option<&str>,
) -> Result<(), Failure> {
    let set = || {
        let invalid = Failure(Status::EINVAL.0);
        let storage = id.map(StorageId::parse).transpose().map_err(|_| invalid)?;
        Ok(session.wait(tracker.set_trunk_server(group_name(group)?, storage))?)
    };
    let what = format!("set trunk server {group}::{}", id.unwrap_or_default());
    match set() {
        Ok(chosen) => {
            print(format_args!("{what} success, new trunk server: {chosen}"));
            Ok(())
        }
        Err(failure) => {
            print(format_args!("{}", Failure::line(failure, &what)));
            Err(failure)
        }
    }
}

fn usage(tool: &Tool<'_>) {
    print(format_args!(
        "\nUsage:\n  {name} <client_cfg_file> [-h <tracker_server>]\n  \
         [list|delete|set_trunk_server <group_name> [storage_id]]\n\n\
         Note:\n  the tracker server format: host[:port], the tracker default port is {TRACKER_PORT}\n  \
         {name} without parameter equals: {name} {conf}\n",
        name = tool.name,
        conf = Path::new(DEFAULT_CONF).display(),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracker_may_be_named_anywhere() {
        let asked =
            |conf, tracker, words: &[&'static str]| Some(Asked { conf, tracker, words: words.to_vec() });
        for (line, expected) in [
            ("", asked(None, None, &[])),
            ("c", asked(Some("c"), None, &[])),
            ("c list group1", asked(Some("c"), None, &["list", "group1"])),
            ("c -h t:7 list", asked(Some("c"), Some("t:7"), &["list"])),
            ("c -ht delete g", asked(Some("c"), Some("t"), &["delete", "g"])),
            ("c list -h t", asked(Some("c"), Some("t"), &["list"])),
            ("c -h", None),
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(parse(&words), expected, "{line}");
        }
    }
}
