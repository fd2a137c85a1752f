//! Gives memory back to the system after a crowd has gone. The C library's allocator gives back only what lies at the end of
//! its heaps; one small thing that lives on keeps all before it resident.

use std::time::Duration;

use tracing::debug;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// More than at the start that is worth the work: the allocator stands still for a millisecond or a few.
const WORTH: u64 = 8 << 20;
/// A change that says that something was freed or used.
const NEWS: u64 = 1 << 20;
/// Without one, it is done after so many looks.
const LOOKS: u32 = 3;

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
        debug!(before = resident, after = level.left, ok = done.is_ok(), "memory was given back");
    }
}

/// When it is time: there is much more than at the start, it does not grow, and something has changed since the last time,
/// which was long ago otherwise. What is freed need not show before it is given back.
#[derive(Debug)]
struct Level {
    start: u64,
    before: u64,
    /// What was left the last time, and how often it was looked at since.
    left: u64,
    looks: u32,
}

impl Level {
    fn starting(resident: u64) -> Self {
        Self { start: resident, before: resident, left: resident, looks: 0 }
    }

    fn is_worth_it(&mut self, resident: u64) -> bool {
        let grows = resident > self.before;
        self.before = resident;
        self.start = self.start.min(resident);
        self.looks = self.looks.saturating_add(1);
        let news = resident.abs_diff(self.left) >= NEWS || self.looks >= LOOKS;
        !grows && resident - self.start >= WORTH && news
    }

    fn settle(&mut self, resident: u64) {
        (self.before, self.left, self.looks) = (resident, resident, 0);
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
    fn what_crowds_leave_is_given_back_when_they_stop_growing() {
        let mut level = Level::starting(9 * MIB);
        let looks: Vec<bool> = [10, 11, 40, 60, 60].map(|mib| level.is_worth_it(mib * MIB)).into();
        assert_eq!(looks, [false, false, false, false, true], "not while it grows");
        level.settle(55 * MIB);
        let looks: Vec<bool> = [55, 55, 58, 58].map(|mib| level.is_worth_it(mib * MIB)).into();
        assert_eq!(looks, [false, false, false, true], "not twice for the same");
        level.settle(57 * MIB);
        assert!(level.is_worth_it(20 * MIB), "the crowd left, and what it freed shows in part");
        level.settle(18 * MIB);
        let idle = (0..LOOKS).map(|_| level.is_worth_it(18 * MIB)).filter(|worth| *worth).count();
        assert_eq!(idle, 1, "now and then in any case");
        assert!(!level.is_worth_it(16 * MIB), "a little more than at the start is nothing");
    }
}
