//! Deletes files that have expired, soon after they have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::daemon::Chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::store::Store;

/// How often the time is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// A clock that has leapt ahead by so many seconds is not believed for a while: what it makes seem expired would be gone for
/// good.
const LEAP: u64 = 60;
const DOUBT: Duration = Duration::from_secs(3600);

/// Runs until `stop` is cancelled.
pub(crate) async fn run(store: Store, stop: CancellationToken) {
    let (begun, mut clock) = (Instant::now(), Clock::default());
    let mut timer = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if !clock.is_believed(begun.elapsed(), now) {
            continue;
        }
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if let Err(error) = store.expire(now, || !stop.is_cancelled()).await {
            error!(error = %Chain(&error), "what has expired is not deleted, will be tried again");
        }
    }
}

/// The time of day as it was looked at, against a clock that nobody sets.
#[derive(Debug, Default)]
struct Clock {
    /// Both when they were looked at last.
    last: Option<(Duration, u64)>,
    doubted_until: Option<Duration>,
}

impl Clock {
    /// Whether it is the time of day, in unix seconds, so long after the beginning.
    fn is_believed(&mut self, passed: Duration, now: u64) -> bool {
        let (then, was) = self.last.replace((passed, now)).unwrap_or((passed, now));
        let expected = was.saturating_add(passed.saturating_sub(then).as_secs());
        if now > expected.saturating_add(LEAP) {
            let seconds = now - expected;
            warn!(seconds, "the clock has leapt ahead; files that expire are left alone for an hour");
            self.doubted_until = Some(passed + DOUBT);
        }
        self.doubted_until.is_none_or(|until| until <= passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_ahead_is_not_believed_for_an_hour() {
        const NOW: u64 = 1_795_382_841;
        const YEAR: u64 = 31_536_000;
        let mut clock = Clock::default();
        for (passed, now, believed) in [
            (0, NOW, true),
            (5, NOW + 5, true),
            (600, NOW + 650, true),
            (605, NOW - YEAR, true),
            (610, NOW - YEAR + 5, true),
            // Set right again: a leap ahead, too.
            (615, NOW + 615, false),
            (700, NOW + 700, false),
            (800, NOW + YEAR, false),
            (805, NOW + 805, false),
            (4399, NOW + 4399, false),
            (4400, NOW + 4400, true),
            (4405, NOW + 4405, true),
        ] {
            assert_eq!(clock.is_believed(Duration::from_secs(passed), now), believed, "{passed}");
        }
    }
}
