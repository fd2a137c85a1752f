//! Trunk files: small files in slots of large ones, as FastDFS makes them when the trackers say `use_trunk_file`.
//!
//! `member` reads and erases slots, `write` fills them. One member of a group, its trunk server, knows what is free
//! (`free`, pure) and gives slots to all members; `server` is that role, `log` its record, which all members have. Who has
//! the role the trackers say: [`Trunk`] is what the link and the native service see of it.

mod claims;
mod container;
mod free;
mod log;
mod member;
mod record;
mod role;
mod server;
mod slot;
mod snapshot;
mod start;
mod write;

pub(super) use container::{Container, Containers, Owner};
pub(super) use member::{Member, erase, open, open_cached};
pub(super) use role::{Space, TrunkState};
pub use role::{Trunk, TrunkClient};
pub use slot::{Slot, SlotRules};
pub(super) use write::{Draft, copy, release, replicate};
