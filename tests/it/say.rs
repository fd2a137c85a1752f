//! What a test has to say although it passes.

use std::io::Write;

/// Says why a test did nothing.
pub(crate) fn skipped(test: &str, why: &str) {
    say(&format!("skipped: {test}: {why}"));
}

/// Writes past the test harness, which hides what passing tests print.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("stderr can be written");
}
