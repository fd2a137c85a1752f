//! Waiting for what another process does: ask again until it answers, with a deadline and the last reason in the failure.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// What `probe` gives once it succeeds; panics with its last error when `deadline` has passed.
pub(crate) async fn until<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if start.elapsed() > deadline => panic!("no {what} within {deadline:?}: {reason}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
