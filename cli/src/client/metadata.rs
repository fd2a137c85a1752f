//! A file's metadata: rows of a name and a value.

use anyhow::{Context, bail};
use clap::Args;
use protocol::Status;
use protocol::storage::MetadataMode;

use super::{ClusterArgs, parse_id};
use crate::output::print;

const ROW_END: &str = "\u{1}";
const NAME_END: &str = "\u{2}";

/// Print a file's metadata, or set rows of it
#[derive(Debug, Args)]
pub(crate) struct MetaArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// File ID, or a URL that ends in one
    file: String,
    /// Rows to set; without any, the file's rows are printed
    #[arg(value_name = "NAME=VALUE")]
    rows: Vec<String>,
    /// Replace all rows instead of adding to them
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: &MetaArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let id = parse_id(&args.file)?;
    if args.rows.is_empty() && !args.overwrite {
        let text = match session.wait(session.client.metadata(&id)) {
            // A storage says the same for a file that it does not have.
            Err(error) if error.status() == Some(Status::ENOENT) => bail!("{id} has no metadata"),
            text => text.with_context(|| format!("cannot read the metadata of {id}"))?,
        };
        for (name, value) in parse_rows(&String::from_utf8_lossy(&text)) {
            print(format_args!("{name}={value}"));
        }
        return Ok(());
    }
    let text = pack_rows(&args.rows)?;
    let mode = if args.overwrite { MetadataMode::Overwrite } else { MetadataMode::Merge };
    session
        .wait(session.client.set_metadata(&id, mode, text.into()))
        .with_context(|| format!("cannot set the metadata of {id}"))
}

fn parse_rows(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(ROW_END).filter_map(|row| row.split_once(NAME_END))
}

fn pack_rows(rows: &[String]) -> anyhow::Result<String> {
    let mut packed = Vec::with_capacity(rows.len());
    for row in rows {
        let Some((name, value)) = row.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            bail!("'{row}' is not NAME=VALUE");
        };
        packed.push(format!("{name}{NAME_END}{value}"));
    }
    Ok(packed.join(ROW_END))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_packed_and_read_back() {
        let rows = ["a=1".to_owned(), "b=x=y".to_owned(), "c=".to_owned()];
        let packed = pack_rows(&rows).unwrap();
        let read: Vec<_> = parse_rows(&packed).collect();
        assert_eq!(read, [("a", "1"), ("b", "x=y"), ("c", "")]);
        assert!(pack_rows(&["=1".to_owned()]).is_err());
        assert!(pack_rows(&["a".to_owned()]).is_err());
    }
}
