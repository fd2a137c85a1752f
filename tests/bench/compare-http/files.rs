//! The files that all servers serve: uploaded to a node, whose directory the other servers are given too.

use std::path::PathBuf;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::address;
use crate::cluster::{Config, Daemon};
use crate::say::say;

/// Sizes of which there is one file each.
const HOT: [u64; 5] = [1 << 10, 4 << 10, 64 << 10, 1 << 20, 100 << 20];
const MANY: u32 = 20_000;
const MANY_SIZE: usize = 4_096;
const UPLOADS_AT_ONCE: u32 = 8;

/// A filled store directory.
pub(crate) struct Store {
    pub(crate) dir: TempDir,
    /// Store path 0, which holds `data`.
    pub(crate) path: PathBuf,
    hot: Vec<(u64, String)>,
}

#[derive(Deserialize)]
struct Stored {
    file_id: String,
}

impl Store {
    /// Starts a tracker and a node, uploads everything, and stops them.
    pub(crate) async fn fill() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let tracker = Daemon::tracker(dir.path(), address::fresh(), |conf| conf).await;
        let mut node = Daemon::node(dir.path(), address::fresh(), tracker.ip, few_directories).await;
        let (client, url) = (Client::new(), node.url("/v1/files?filename=x.jpg"));
        let mut hot = Vec::new();
        for size in HOT {
            let len = usize::try_from(size).expect("fits");
            hot.push((size, format!("/{}", upload(&client, &url, size, len).await)));
        }
        let mut tasks = JoinSet::new();
        for first in 0..UPLOADS_AT_ONCE {
            let (client, url) = (client.clone(), url.clone());
            tasks.spawn(async move {
                let mut ids = Vec::new();
                for number in (first..MANY).step_by(usize::try_from(UPLOADS_AT_ONCE).expect("fits")) {
                    ids.push(upload(&client, &url, u64::from(number), MANY_SIZE).await);
                }
                ids
            });
        }
        let ids: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
        let paths: String = ids.iter().map(|id| format!("/{id}\n")).collect();
        std::fs::write(dir.path().join("paths"), paths).expect("the scratch directory can be written");
        say(&format!("{} files in {}", ids.len() + hot.len(), node.base.display()));
        node.process.stop().await;
        Self { path: node.base.clone(), dir, hot }
    }

    /// Lets another node take the directory, which bears the mark of the one before. They only read.
    pub(crate) fn forget_owner(&self) {
        std::fs::remove_file(self.path.join("data/.fastdfs_vars")).expect("each node leaves its mark");
    }

    /// Path of the file of this size in URLs.
    pub(crate) fn hot(&self, size: u64) -> &str {
        &self.hot.iter().find(|(of, _)| *of == size).expect("each case has its file").1
    }

    /// A file with the paths of all small files, one a line.
    pub(crate) fn paths_file(&self) -> PathBuf {
        self.dir.path().join("paths")
    }
}

/// As many as 20,000 files take with FastDFS's 100 a directory, instead of 65,536, which take long to make.
pub(crate) fn few_directories(conf: Config) -> Config {
    conf.add("subdir_count_per_path = 16")
}

async fn upload(client: &Client, url: &str, seed: u64, len: usize) -> String {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    let answer = client.post(url).body(bytes).send().await.expect("the node answers");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let stored = answer.text().await.expect("a body");
    serde_json::from_str::<Stored>(&stored).expect("the documented JSON").file_id
}
