//! Gives memory back to the system after a crowd has gone. The C library's allocator gives back only what lies at the end of
//! its heaps; one small thing that lives on keeps all before it resident.

use std::time::Duration;

use tracing::debug;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// Growth that is worth the work: the allocator stands still for a millisecond or a few.
const WORTH: u64 = 8 << 20;

/// Looks at the memory of this process as long as it runs.
pub(super) async fn give_back() {
    let Some(resident) = own() else { return };
    let mut level = Level::starting(resident);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(resident) = own() else { return };
        if !level.is_worth_it(resident) {
            continue;
        }
        // The runtime ends while it is under way only if the process does.
        let done = tokio::task::spawn_blocking(trim).await;
        level.settle(own().unwrap_or(resident));
        debug!(before = resident, after = level.floor, ok = done.is_ok(), "memory was given back");
    }
}

/// When it is time.
#[derive(Debug)]
struct Level {
    /// What was left the last time, or less: what is in use for good.
    floor: u64,
    before: u64,
}

impl Level {
    fn starting(resident: u64) -> Self {
        Self { floor: resident, before: resident }
    }

    /// Whether there is much more than the last time and it no longer grows.
    fn is_worth_it(&mut self, resident: u64) -> bool {
        let grows = resident > self.before;
        self.before = resident;
        self.floor = self.floor.min(resident);
        !grows && resident - self.floor >= WORTH
    }

    fn settle(&mut self, resident: u64) {
        *self = Self::starting(resident);
    }
}

/// Bytes in memory that are this process's own: no pages of files.
fn own() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').skip(1).map(|count| count.parse::<u64>().ok());
    let (resident, shared) = (pages.next()??, pages.next()??);
    Some(resident.saturating_sub(shared) * u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate has this call of the C library")]
fn trim() {
    // SAFETY: it takes no pointer, and locks the allocator as every other call of it does.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_crowd_that_has_gone_is_worth_it_once() {
        let mut level = Level::starting(9 * MIB);
        let looks: Vec<bool> = [10, 11, 40, 60, 60].map(|mib| level.is_worth_it(mib * MIB)).into();
        assert_eq!(looks, [false, false, false, false, true], "not while it grows");
        level.settle(55 * MIB);
        let looks: Vec<bool> =
            [55, 58, 58, 20, 25, 25, 28, 28].map(|mib| level.is_worth_it(mib * MIB)).into();
        assert_eq!(looks, [false, false, false, false, false, false, false, true], "what is in use stays");
    }
}
