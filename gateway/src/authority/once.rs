//! Names that were seen, until they could not count any more anyway. Bounded: when it is full, nothing new is taken, rather
//! than something old forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Names at a time, in about 8 MB.
const MAX: usize = 65_536;

/// What was seen how often.
#[derive(Debug, Default)]
pub(crate) struct Once(Mutex<HashMap<Box<str>, Seen>>);

#[derive(Debug)]
struct Seen {
    times: u32,
    /// Milliseconds.
    until: i64,
}

/// Why another time is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It was seen as often as it may be.
    Used,
    /// There is no room to remember it.
    Full,
}

impl Once {
    /// Notes a name that may be seen `most` times and is void from `until` on. Times are in milliseconds.
    pub(crate) fn take(&self, name: &str, most: u32, until: i64, now: i64) -> Result<(), Refused> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = seen.get_mut(name) {
            if entry.times >= most {
                return Err(Refused::Used);
            }
            entry.times += 1;
            return Ok(());
        }
        if seen.len() >= MAX {
            seen.retain(|_, entry| entry.until > now);
        }
        if seen.len() >= MAX {
            return Err(Refused::Full);
        }
        seen.insert(name.into(), Seen { times: 1, until });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_and_the_memory_is_bounded() {
        let once = Once::default();
        assert_eq!(once.take("a", 2, 100, 0), Ok(()));
        assert_eq!(once.take("a", 2, 100, 0), Ok(()));
        assert_eq!(once.take("a", 2, 100, 0), Err(Refused::Used));
        for number in 1..MAX {
            assert_eq!(once.take(&number.to_string(), 1, 100, 0), Ok(()));
        }
        assert_eq!(once.take("b", 1, 100, 99), Err(Refused::Full), "nothing that counts is forgotten");
        assert_eq!(once.take("a", 2, 100, 99), Err(Refused::Used));
        assert_eq!(once.take("b", 1, 200, 100), Ok(()), "what is void is");
        assert_eq!(once.0.lock().unwrap().len(), 1);
    }
}
