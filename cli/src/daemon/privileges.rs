//! `run_by_user` and `run_by_group`: given up before the first thread starts, so that all threads lose them, and
//! before ports are bound, which FastDFS does after. Ports below 1024 therefore need a capability or another port.

use std::fs;
use std::os::unix::fs::chown;

use anyhow::{Context, bail};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::kind::Process;

/// Becomes the configured user and group. The base path, if it has to be made, is theirs.
pub(super) fn apply(process: &Process<'_>) -> anyhow::Result<()> {
    let user = process.run_by_user.map(find_user).transpose()?;
    let group = process.run_by_group.map(find_group).transpose()?;
    let uid = user.map(|(uid, _)| uid).filter(|uid| *uid != geteuid());
    let gid = group.or(user.map(|(_, gid)| gid)).filter(|gid| *gid != getegid());
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    if !geteuid().is_root() {
        let wanted = match (process.run_by_user, process.run_by_group) {
            (Some(user), _) => format!("run_by_user = {user}"),
            (None, group) => format!("run_by_group = {}", group.unwrap_or_default()),
        };
        bail!("{wanted} needs a start by root; remove the line, or start as that user");
    }
    if !process.base.exists() {
        let path = process.base.display();
        fs::create_dir_all(process.base).with_context(|| format!("cannot create the directory {path}"))?;
        chown(process.base, uid.map(Uid::as_raw), gid.map(Gid::as_raw))
            .with_context(|| format!("cannot give away the directory {path}"))?;
    }
    if let Some(gid) = gid {
        set_thread_groups(&[gid]).context("cannot leave root's groups")?;
        set_thread_res_gid(gid, gid, gid).context("cannot become run_by_group")?;
    }
    if let Some(uid) = uid {
        set_thread_res_uid(uid, uid, uid).context("cannot become run_by_user")?;
    }
    Ok(())
}

fn find_user(name: &str) -> anyhow::Result<(Uid, Gid)> {
    let text = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    user_in(&text, name).with_context(|| format!("run_by_user = {name}: /etc/passwd has no such user"))
}

fn find_group(name: &str) -> anyhow::Result<Gid> {
    let text = fs::read_to_string("/etc/group").context("reading /etc/group")?;
    group_in(&text, name).with_context(|| format!("run_by_group = {name}: /etc/group has no such group"))
}

/// The line `name:password:uid:gid:...`.
fn user_in(passwd: &str, name: &str) -> Option<(Uid, Gid)> {
    let mut fields = line_of(passwd, name)?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((Uid::from_raw(uid), Gid::from_raw(gid)))
}

/// The line `name:password:gid:members`.
fn group_in(group: &str, name: &str) -> Option<Gid> {
    line_of(group, name)?.next()?.parse().ok().map(Gid::from_raw)
}

/// What follows the password in the line of `name`.
fn line_of<'a>(text: &'a str, name: &str) -> Option<std::str::Split<'a, char>> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.next()).flatten()?;
        Some(fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nfdfsx:x:7:8::/:\nfdfs:x:998:997::/var/lib/fdfs:/bin/false\n";
        let user = user_in(passwd, "fdfs").map(|(uid, gid)| (uid.as_raw(), gid.as_raw()));
        assert_eq!(user, Some((998, 997)));
        assert!(user_in(passwd, "fdf").is_none());
        assert!(user_in("fdfs:x:many:1::", "fdfs").is_none());
        let gid = group_in("adm:x:4:a,b\nfdfs:x:997:\n", "fdfs").map(Gid::as_raw);
        assert_eq!(gid, Some(997));
        assert!(group_in("fdfs\n", "fdfs").is_none());
    }
}
