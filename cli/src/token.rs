//! `fdfs token`: bearer tokens for the file that `http.tokens_file` names. Asks no cluster.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use gateway::authority::Scopes;
use gateway::authority::tokens::Token;
use protocol::GroupName;

use crate::output::print;

/// Make tokens for HTTP, which the file of http.tokens_file knows by their hashes
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    New(NewArgs),
}

/// Make a token: prints it, this once, and the line for the file
#[derive(Debug, Args)]
struct NewArgs {
    /// Whose it is, as the audit log will say
    #[arg(short, long, value_name = "NAME")]
    name: String,
    /// What it may do: read, write, delete, admin, with commas
    #[arg(short, long, value_name = "SCOPES", default_value = "read,write")]
    scopes: String,
    /// The only group that it is for
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// How long it is good: such as 12h, 30d or 52w; without it, for ever
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    expires: Option<String>,
    /// Print the line only to standard output, the token to standard error
    #[arg(short, long)]
    line: bool,
}

pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let TokenCommand::New(args) = &args.command;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (text, token) = make(args, now)?;
    if args.line {
        crate::output::complain(format_args!("{text}"));
        print(format_args!("{}", token.line()));
        return Ok(());
    }
    print(format_args!(
        "token (kept nowhere, shown once):\n{text}\n\nline for http.tokens_file:\n{}",
        token.line()
    ));
    Ok(())
}

fn make(args: &NewArgs, now: Duration) -> anyhow::Result<(String, Token)> {
    let scopes = Scopes::parse(&args.scopes)
        .ok_or_else(|| anyhow!("'{}' are no scopes; write such as read,write,delete,admin", args.scopes))?;
    let group = args.group.as_deref().map(GroupName::parse).transpose();
    let group = group.map_err(|why| anyhow!("--group: {why}"))?;
    let expires = match &args.expires {
        None => None,
        Some(text) => {
            let end = now.checked_add(life(text)?).context("--expires is too far away")?;
            Some(i64::try_from(end.as_secs()).context("--expires is too far away")?)
        }
    };
    Token::generate(&args.name, scopes, group, expires).map_err(|why| anyhow!("--name: {why}"))
}

/// A number and a unit: `s`, `m`, `h`, `d` or `w`.
fn life(text: &str) -> anyhow::Result<Duration> {
    let unit = text.chars().last().unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => bail!("'{text}' has no unit; write such as 12h, 30d or 52w"),
    };
    let number =
        text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).filter(|number| *number > 0);
    let number = number.ok_or_else(|| anyhow!("'{text}' is no time; write such as 12h, 30d or 52w"))?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn line(arguments: &[&str]) -> anyhow::Result<String> {
        let all = ["token", "new"].iter().chain(arguments);
        let TokenCommand::New(args) = Cli::try_parse_from(all)?.args.command;
        Ok(make(&args, Duration::from_secs(1_800_000_000 - 30 * 86_400))?.1.line())
    }

    #[test]
    fn a_line_says_what_was_asked_for() {
        let all = ["--name", "ci", "--scopes", "read,delete", "--group", "group1", "--expires", "30d"];
        let line = line(&all).unwrap();
        assert!(line.starts_with("ci sha256:"), "{line}");
        assert!(line.ends_with(" scopes=read,delete group=group1 expires=2027-01-15T08:00:00Z"), "{line}");
        let plain = super::tests::line(&["--name", "ci"]).unwrap();
        assert!(plain.ends_with(" scopes=read,write"), "{plain}");
    }

    #[test]
    fn what_no_token_can_be_is_said() {
        for (arguments, why) in [
            (&[][..], "required"),
            (&["--name", "a b"], "a name has"),
            (&["--name", "a", "--scopes", "all"], "no scopes"),
            (&["--name", "a", "--group", "../x"], "--group"),
            (&["--name", "a", "--expires", "30"], "no unit"),
            (&["--name", "a", "--expires", "-1d"], "no time"),
            (&["--name", "a", "--expires", "0d"], "no time"),
        ] {
            let error = line(arguments).unwrap_err().to_string();
            assert!(error.contains(why), "{arguments:?}: {error}");
        }
    }
}
