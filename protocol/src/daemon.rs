//! What both daemons do alike at their start: own the base path, replace small files in it as a whole, say what keeps
//! them from starting.

mod chain;
mod listen;
mod lock;
mod replace;

pub use chain::Chain;
pub use listen::ListenError;
pub use lock::{DataLock, LockError};
pub use replace::replace_file;
