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
