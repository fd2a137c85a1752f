//! Time from an acknowledged upload to the file on the other member's disk.

use std::time::Duration;

use crate::group::Group;
use crate::group::server::Make;
use crate::load::{Made, Pace, quantiles, upload};
use crate::say::say;
use crate::wait::until;
use crate::watch::Seen;

/// Uploads a second.
pub(crate) const RATE: u32 = 1_000;
const CONNECTIONS: u32 = 16;

/// A pair of `make`, one member under load for so many seconds.
pub(crate) async fn measure(make: Make, seconds: u64) {
    let group = Group::start(&[make], &[make, make]).await;
    let seen = Seen::on(&group.nodes[1].base);
    // Connections and senders get going.
    let time = Duration::from_secs(2);
    upload(group.native(0), CONNECTIONS, Pace::PerSecond(RATE), u64::MAX, time).await;
    let time = Duration::from_secs(seconds);
    let made = upload(group.native(0), CONNECTIONS, Pace::PerSecond(RATE), u64::MAX, time).await;
    let answers = made.iter().map(|made| made.acknowledged - made.asked).collect();
    let lags = lags(&made, &seen).await;
    say(&format!(
        "lag, {make:?}: {} uploads at {RATE}/s; to be answered {}; from there to the other disk {}",
        made.len(),
        quantiles(answers),
        quantiles(lags)
    ));
}

/// The lag of each file once all have been seen. A file may be there before its client is answered: no lag.
pub(crate) async fn lags(made: &[Made], seen: &Seen) -> Vec<Duration> {
    until("all files on the other disk", Duration::from_secs(120), async || {
        let name = |made: &&Made| seen.at(made.id.name.base_name()).is_none();
        match made.iter().filter(name).count() {
            0 => Ok(()),
            missing => Err(format!("{missing} of {} are missing", made.len())),
        }
    })
    .await;
    let lag = |made: &Made| {
        seen.at(made.id.name.base_name()).expect("seen above").saturating_duration_since(made.acknowledged)
    };
    made.iter().map(lag).collect()
}
