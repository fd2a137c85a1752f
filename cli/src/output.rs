//! Where text goes: results to standard output, complaints to standard error. Neither can fail in a way that anybody
//! would be told about, so a closed pipe ends the process quietly.

use std::fmt;
use std::io::{self, Write};

/// Prints a result.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Prints a complaint or a notice.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error and its causes in one line; causes that an error has told already are not told again.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.is_empty() && text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// A panic of a command is one line; its exit code is Rust's, 101. Daemons log theirs.
pub(crate) fn tell_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        complain(format_args!("fdfs: internal error{place}: {what}"));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_cause_is_told_once() {
        let check = |error: anyhow::Error, expected: &str| assert_eq!(chain(&error), expected);
        check(
            anyhow!("disk full").context("cannot write x").context("cannot save"),
            "cannot save: cannot write x: disk full",
        );
        check(anyhow!("disk full").context("cannot write x: disk full"), "cannot write x: disk full");
        check(anyhow!("disk full"), "disk full");
    }
}
