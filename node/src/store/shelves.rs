//! The store paths and what reading from them needs: the half of a store that a gateway in front of a FastDFS storage
//! has as well. Nothing here writes, locks or leaves a trace.

use std::path::Path;
use std::sync::Arc;

use protocol::file_id::StorePathIndex;

use super::data_dir::DataDir;
use super::pool::Pool;
use super::space::Space;
use super::trunk::{Containers, Owner};
use super::{Counters, StoreError};

/// Threads of a store path that is only read: what the page cache has needs none of them, so they all wait for the disk.
const READERS: usize = 8;

/// One store path: its directory, its threads, its room.
pub(super) struct StorePath {
    pub(super) dir: DataDir,
    pub(super) pool: Pool,
    pub(super) readonly: bool,
    pub(super) space: Space,
    pub(super) containers: Containers,
}

/// All store paths, in the order of their index.
pub(super) struct Shelves {
    pub(super) paths: Vec<Arc<StorePath>>,
    pub(super) counters: Counters,
}

impl Shelves {
    /// The store path of a name; its index has to meet the store's count.
    pub(super) fn path(&self, index: StorePathIndex) -> Option<&Arc<StorePath>> {
        self.paths.get(usize::from(index.0))
    }
}

/// Reads the files of store paths. Clones share it.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Shelves>);

impl Reader {
    /// Store paths of a storage that another program runs. Blocking.
    pub fn open(store_paths: &[impl AsRef<Path>]) -> Result<Self, StoreError> {
        let open = |(index, path): (usize, &_)| {
            let data = AsRef::<Path>::as_ref(path).join("data");
            let dir = DataDir::open(data.clone()).map_err(StoreError::io("open", &data))?;
            let pool = Pool::start(&format!("read-{index}"), READERS)
                .map_err(StoreError::io("start threads for", &data))?;
            let (space, containers) = (Space::default(), Containers::new(Owner::Other));
            Ok(Arc::new(StorePath { dir, pool, readonly: true, space, containers }))
        };
        let paths: Result<Vec<_>, StoreError> = store_paths.iter().enumerate().map(open).collect();
        Ok(Self(Arc::new(Shelves { paths: paths?, counters: Counters::default() })))
    }

    /// What was read.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }
}
