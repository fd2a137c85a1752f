//! Other members that confirm uploads, or do not.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use gateway::files::{Confirmed, Witness};
use protocol::FileId;

/// What the members do, and what was asked of them.
#[derive(Debug, Clone, Default)]
pub struct Members(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    in_service: u8,
    /// How many confirm in time.
    confirm: u8,
    /// What the configuration wants.
    replicas: u8,
    begun: usize,
    waits: Vec<(Vec<String>, u8)>,
}

impl Members {
    /// So many are in service, and so many of them confirm in time.
    pub fn are(&self, in_service: u8, confirm: u8) {
        let mut state = self.0.lock().unwrap();
        (state.in_service, state.confirm) = (in_service, confirm);
    }

    /// The configuration wants so many.
    pub fn have_to_confirm(&self, replicas: u8) {
        self.0.lock().unwrap().replicas = replicas;
    }

    /// Names that were waited for, and for how many members, by request.
    pub fn waits(&self) -> Vec<(Vec<String>, u8)> {
        self.0.lock().unwrap().waits.clone()
    }

    /// Waits that were begun.
    pub fn begun(&self) -> usize {
        self.0.lock().unwrap().begun
    }

    pub fn replicas(&self) -> u8 {
        self.0.lock().unwrap().replicas
    }

    pub fn in_service(&self) -> u8 {
        self.0.lock().unwrap().in_service
    }

    pub fn witness(&self) -> Box<dyn Witness> {
        self.0.lock().unwrap().begun += 1;
        Box::new(self.clone())
    }
}

impl Witness for Members {
    fn confirm(
        self: Box<Self>,
        files: Vec<FileId>,
        members: u8,
    ) -> Pin<Box<dyn Future<Output = Confirmed> + Send>> {
        Box::pin(async move {
            let mut state = self.0.lock().unwrap();
            state.waits.push((files.iter().map(FileId::to_string).collect(), members));
            if state.confirm >= members { Confirmed::Yes } else { Confirmed::ByFewer(state.confirm) }
        })
    }
}
