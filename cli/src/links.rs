//! `fdfs install-links`: FastDFS's program names as symbolic links to this program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::output::print;

const DAEMONS: [&str; 2] = ["fdfs_trackerd", "fdfs_storaged"];

/// Make FastDFS's program names links to this program
#[derive(Debug, Args)]
pub(crate) struct LinksArgs {
    /// Directory for the links, such as /usr/bin
    directory: PathBuf,
    /// Replace FastDFS's own programs
    #[arg(long)]
    force: bool,
}

/// Makes the links and prints their names.
pub(crate) fn run(args: &LinksArgs) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    for name in DAEMONS.into_iter().chain(crate::fastdfs::names()) {
        let link = args.directory.join(name);
        make(&program, &link, args.force)?;
        print(format_args!("{}", link.display()));
    }
    Ok(())
}

fn make(program: &Path, link: &Path, force: bool) -> anyhow::Result<()> {
    let name = link.display();
    match fs::symlink_metadata(link) {
        Err(_) => {}
        Ok(_) if fs::read_link(link).is_ok_and(|target| target == program) => return Ok(()),
        Ok(_) if force => fs::remove_file(link).with_context(|| format!("cannot remove {name}"))?,
        Ok(_) => bail!("{name} exists; --force replaces it"),
    }
    symlink(program, link).with_context(|| format!("cannot make the link {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_replace_others_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let (program, link) = (directory.path().join("fdfs"), directory.path().join("fdfs_test"));
        make(&program, &link, false).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), program);
        make(&program, &link, false).unwrap();
        fs::remove_file(&link).unwrap();
        fs::write(&link, "FastDFS's own").unwrap();
        assert!(make(&program, &link, false).is_err());
        make(&program, &link, true).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), program);
    }
}
