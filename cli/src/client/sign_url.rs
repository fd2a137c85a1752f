//! `fdfs sign-url`: URLs that open files for a time, as `http.signed_url.keys` of a site checks them. Asks no cluster.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;
use gateway::signed_url::UrlKeys;

use super::parse_id;
use crate::output::print;

/// Print URLs that open files for a time, on sites with http.signed_url.keys
#[derive(Debug, Args)]
pub(crate) struct SignUrlArgs {
    /// The site's key file: lines of a name and a secret
    #[arg(short, long, value_name = "FILE")]
    keys: PathBuf,
    /// Name of the key to sign with; without it, the first
    #[arg(short = 'n', long, value_name = "NAME")]
    key: Option<String>,
    /// Seconds that the URLs are good
    #[arg(short, long, value_name = "SECONDS", default_value_t = 600, conflicts_with = "until")]
    expires_in: u64,
    /// Time at which the URLs end, in unix seconds
    #[arg(short, long, value_name = "UNIX")]
    until: Option<u64>,
    /// Name under which browsers save the file
    #[arg(short, long, value_name = "NAME")]
    filename: Option<String>,
    /// What stands before the path, such as https://img.example.com
    #[arg(short, long, value_name = "URL", default_value = "")]
    base: String,
    /// File IDs, or URLs that end in one
    #[arg(required = true, value_name = "FILE_ID")]
    files: Vec<String>,
}

pub(super) fn run(args: &SignUrlArgs) -> anyhow::Result<()> {
    let keys = UrlKeys::read(&args.keys)
        .with_context(|| format!("cannot read the keys in {}", args.keys.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for url in sign(args, &keys, now)? {
        print(format_args!("{url}"));
    }
    Ok(())
}

/// All URLs, or none if one of them cannot be made.
fn sign(args: &SignUrlArgs, keys: &UrlKeys, now: u64) -> anyhow::Result<Vec<String>> {
    let expires = args.until.unwrap_or_else(|| now.saturating_add(args.expires_in));
    // Whoever checks it reads a signed number.
    if i64::try_from(expires).is_err() {
        bail!("{expires} is no time; the URLs would never open");
    }
    let base = args.base.trim_end_matches('/');
    let url = |text: &String| {
        let id = parse_id(text)?;
        match keys.sign(&id, expires, args.filename.as_deref(), args.key.as_deref()) {
            Some(query) => Ok(format!("{base}/{id}?{query}")),
            None => bail!(
                "{} has no key of the name {}",
                args.keys.display(),
                args.key.as_deref().unwrap_or_default()
            ),
        }
    };
    args.files.iter().map(url).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const ID: &str = "group1/M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt";

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: SignUrlArgs,
    }

    fn signed(arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let keys = UrlKeys::parse("2026 correct horse battery staple\nold 0123456789abcdef").unwrap();
        let all = ["sign-url", "--keys", "url.keys"].iter().chain(arguments);
        sign(&Cli::try_parse_from(all)?.args, &keys, 1_699_999_400)
    }

    /// The signature is the one of `openssl` in gateway/README.md.
    #[test]
    fn urls_are_those_of_the_shell() {
        let query = "expires=1700000000&k=2026&signature=BRWazoEaV2MB0HVN7RdeZ2hjXmFxOWf2l4e7U5mhEMU";
        assert_eq!(signed(&[ID]).unwrap(), [format!("/{ID}?{query}")]);
        let url = format!("https://img.example.com/{ID}");
        let arguments = ["--until", "1700000000", "--base", "https://img.example.com/", &url, ID];
        assert_eq!(signed(&arguments).unwrap(), vec![format!("{url}?{query}"); 2]);
        let query = "expires=1700000000&k=old&signature=LHbsRya51Np54slh6-av2adNJFggaCJnGx0e3ozfAto";
        assert_eq!(
            signed(&["--key", "old", "--filename", "a b.txt", ID]).unwrap(),
            [format!("/{ID}?{query}&filename=a%20b.txt")]
        );
    }

    #[test]
    fn what_cannot_be_signed_is_said() {
        for (arguments, why) in [
            (&["--key", "new", ID][..], "no key of the name new"),
            (&["nothing"], "no file ID"),
            (&["--until", "18446744073709551615", ID], "is no time"),
            (&["--until", "1", "--expires-in", "5", ID], "cannot be used with"),
            (&[], "required"),
        ] {
            let error = signed(arguments).unwrap_err().to_string();
            assert!(error.contains(why), "{arguments:?}: {error}");
        }
    }
}
