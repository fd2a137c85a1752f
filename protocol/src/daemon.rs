//! What both daemons do with their base path: own it, and replace small files in it as a whole.

mod chain;
mod lock;
mod replace;

pub use chain::Chain;
pub use lock::{DataLock, LockError};
pub use replace::replace_file;
