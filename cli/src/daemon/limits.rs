//! The limit of open files, raised to what the configured connections need.

use anyhow::bail;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of native connections: listeners, logs, files being served, HTTP.
const OTHERS: u64 = 1024;

/// Raises the soft limit as far as it goes; refuses when that is less than the connections need.
pub(crate) fn raise(max_connections: u32) -> anyhow::Result<()> {
    let needed = u64::from(max_connections) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(hard) = limit.maximum else {
        // Without a hard limit nothing has to be counted.
        setrlimit(Resource::Nofile, Rlimit { current: None, maximum: None })?;
        return Ok(());
    };
    // Root may go past the hard limit.
    let wanted = hard.max(needed);
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: Some(wanted) }).is_ok() {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: Some(hard) })?;
    if hard < u64::from(max_connections) {
        bail!(
            "max_connections = {max_connections} needs {needed} open files, but the system allows {hard}; \
             raise the limit (ulimit -n, LimitNOFILE) or lower max_connections"
        );
    }
    Ok(())
}
