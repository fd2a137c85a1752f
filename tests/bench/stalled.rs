//! One of three members freezes: uploads and the other member must not feel it.

use std::time::Duration;

use crate::group::Group;
use crate::group::server::Make;
use crate::lag::{RATE, lags};
use crate::load::{Pace, float, quantiles, upload};
use crate::say::say;
use crate::watch::Seen;

const CONNECTIONS: u32 = 8;
const TIME: Duration = Duration::from_secs(8);

/// A group of three of `make`, before and while the third is frozen.
pub(crate) async fn measure(make: Make) {
    let group = Group::start(&[make], &[make; 3]).await;
    let seen = Seen::on(&group.nodes[1].base);
    report(&group, &seen, &format!("stalled, {make:?}, all well")).await;
    group.nodes[2].freeze();
    report(&group, &seen, &format!("stalled, {make:?}, one member frozen")).await;
    group.nodes[2].thaw();
}

async fn report(group: &Group, seen: &Seen, what: &str) {
    let made = upload(group.native(0), CONNECTIONS, Pace::PerSecond(RATE), u64::MAX, TIME).await;
    let answers = made.iter().map(|made| made.acknowledged - made.asked).collect();
    let lag = quantiles(lags(&made, seen).await);
    say(&format!("{what}, {RATE} uploads/s: to be answered {}; lag {lag}", quantiles(answers)));
    let made = upload(group.native(0), CONNECTIONS, Pace::Full, u64::MAX, TIME).await;
    let rate = float(u64::try_from(made.len()).expect("fits")) / TIME.as_secs_f64();
    say(&format!("{what}, at full speed: {rate:.0} uploads/s"));
    // All are on the other disk before the next part begins.
    lags(&made, seen).await;
}
