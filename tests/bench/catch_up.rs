//! A member that was down gets what it missed.

use std::time::{Duration, Instant};

use crate::group::Group;
use crate::group::server::Make;
use crate::load::{Pace, float, upload};
use crate::say::say;
use crate::wait::until;
use crate::watch::Seen;

const CONNECTIONS: u32 = 16;

/// A pair of `make`; one takes `count` files while the other is down.
pub(crate) async fn measure(make: Make, count: u64) {
    let mut group = Group::start(&[make], &[make, make]).await;
    group.nodes[1].stop().await;
    let start = Instant::now();
    let forever = Duration::from_secs(3_600);
    upload(group.native(0), CONNECTIONS, Pace::Full, count, forever).await;
    let loaded = start.elapsed();

    let seen = Seen::on(&group.nodes[1].base);
    let start = Instant::now();
    group.nodes[1].start();
    let wanted = usize::try_from(count).expect("fits");
    until("all files on the other disk", forever, async || {
        let count = seen.count();
        if count >= wanted { Ok(()) } else { Err(format!("{count} of {wanted}")) }
    })
    .await;
    let (first, last) = seen.span().expect("some were seen");
    let rate = float(count) / (last - first).as_secs_f64();
    say(&format!(
        "catch-up, {make:?}: {count} files (uploaded in {loaded:.1?}); first {:.2?} after the start, all {:.2?} after \
         it: {rate:.0} files/s while it lasted, {:.0} from the start",
        first - start,
        last - start,
        float(count) / (last - start).as_secs_f64()
    ));
}
