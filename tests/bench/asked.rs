//! What a bench's command line says.

use std::time::Duration;

/// Its words, without what Cargo adds.
pub(crate) fn words() -> Vec<String> {
    std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect()
}

/// What a comparison is asked for: `quick` or `full`, `rounds=N`, `seconds=N`, `without=NAME`, and cases.
pub(crate) struct Asked<T: 'static> {
    pub(crate) rounds: usize,
    /// Of one measurement.
    pub(crate) time: Duration,
    /// Names that are left out.
    pub(crate) without: Vec<String>,
    /// All, if none was named.
    pub(crate) cases: Vec<&'static T>,
}

impl<T> Asked<T> {
    /// Reads the words; a case is called by its name or what that begins with.
    pub(crate) fn of(words: &[String], all: &'static [T], name: impl Fn(&T) -> &str) -> Result<Self, String> {
        let mut asked =
            Self { rounds: 3, time: Duration::from_secs(1), without: Vec::new(), cases: Vec::new() };
        for word in words {
            match word.split_once('=') {
                None if word == "quick" => {}
                None if word == "full" => (asked.rounds, asked.time) = (9, Duration::from_secs(3)),
                Some(("rounds", number)) => {
                    asked.rounds = number.parse().map_err(|_| format!("{number} is no number of rounds"))?;
                }
                Some(("seconds", number)) => {
                    let seconds = number.parse().map_err(|_| format!("{number} is no number of seconds"))?;
                    asked.time = Duration::from_secs(seconds);
                }
                Some(("without", left_out)) => asked.without.push(left_out.to_owned()),
                _ => {
                    let named: Vec<_> = all.iter().filter(|case| name(case).starts_with(word)).collect();
                    if named.is_empty() {
                        let names: Vec<_> = all.iter().map(&name).collect();
                        return Err(format!("nothing is called {word}; there are {}", names.join(", ")));
                    }
                    asked.cases.extend(named);
                }
            }
        }
        if asked.cases.is_empty() {
            asked.cases = all.iter().collect();
        }
        Ok(asked)
    }
}
