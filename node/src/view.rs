//! What the trackers told this node about the cluster, for those who answer clients.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use protocol::config::StorageIds;
use protocol::config::params::ClusterParams;
use protocol::file_id::Source;
use protocol::{AddressWidth, FileId, StorageId};

/// Whether this node serves, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A tracker takes it for active.
    Active,
    /// Not yet, or not any more.
    Waiting(String),
}

struct Known {
    params: ClusterParams,
    ids: Option<StorageIds>,
    /// As each tracker has it, by the tracker's name.
    standings: BTreeMap<String, Standing>,
    /// Members that speak HTTP, by id.
    http_urls: BTreeMap<StorageId, String>,
}

/// The node's view of its cluster. Clones share it.
#[derive(Clone)]
pub(crate) struct View(Arc<RwLock<Known>>);

impl View {
    /// Before any tracker answered.
    pub(crate) fn new() -> Self {
        let params = ClusterParams { response_ip_addr_size: AddressWidth::V4, ..ClusterParams::default() };
        Self(Arc::new(RwLock::new(Known {
            params,
            ids: None,
            standings: BTreeMap::new(),
            http_urls: BTreeMap::new(),
        })))
    }

    fn read<T>(&self, part: impl FnOnce(&Known) -> T) -> T {
        part(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The parameters of the cluster as far as known.
    pub(crate) fn params(&self) -> ClusterParams {
        self.read(|known| known.params.clone())
    }

    /// Takes what a tracker said about the cluster.
    pub(crate) fn learn(&self, params: ClusterParams, ids: Option<StorageIds>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.params = params;
        known.ids = ids;
    }

    /// Where this node stands: one tracker that sends clients to it is enough.
    pub(crate) fn standing(&self) -> Standing {
        self.read(|known| {
            let active = known.standings.values().find(|standing| **standing == Standing::Active);
            active.or_else(|| known.standings.values().next()).cloned().unwrap_or_else(|| {
                Standing::Waiting("no tracker has answered yet; check tracker_server and the trackers".into())
            })
        })
    }

    /// Sets where this node stands at a tracker; true if that is news.
    pub(crate) fn set_standing(&self, tracker: &str, standing: Standing) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.standings.insert(tracker.to_owned(), standing.clone()) != Some(standing)
    }

    /// Takes where members are reached by HTTP, as they told a tracker; a member without HTTP has no URL.
    pub(crate) fn learn_http_urls(&self, urls: impl Iterator<Item = (StorageId, String)>) {
        let urls: BTreeMap<_, _> = urls.filter(|(_, url)| !url.is_empty()).collect();
        // One tracker may not have heard of all yet.
        self.0.write().unwrap_or_else(PoisonError::into_inner).http_urls.extend(urls);
    }

    /// Where a member is reached by HTTP, if it is one of fdfs and said so.
    pub(crate) fn http_url(&self, id: &StorageId) -> Option<String> {
        self.read(|known| known.http_urls.get(id).cloned())
    }

    /// Forgets what stood under this name.
    pub(crate) fn forget_standing(&self, tracker: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).standings.remove(tracker);
    }

    /// Whether members are known by ids rather than by addresses.
    pub(crate) fn uses_ids(&self) -> bool {
        self.read(|known| known.params.use_storage_id)
    }

    /// Width of address fields in answers.
    pub(crate) fn width(&self) -> AddressWidth {
        self.read(|known| known.params.response_ip_addr_size)
    }

    /// Age from which a file is taken to be with all members of its group.
    pub(crate) fn max_delay(&self) -> Duration {
        self.read(|known| known.params.storage_sync_file_max_delay)
    }

    /// Address of the storage that made a file's name, if it is known.
    pub(crate) fn source_ip(&self, file: &FileId) -> Option<IpAddr> {
        match file.name.code().ok()?.source {
            Source::Ip(ip) if ip == Ipv4Addr::UNSPECIFIED => None,
            Source::Ip(ip) => Some(IpAddr::V4(ip)),
            Source::Id(number) => {
                self.read(|known| known.ids.as_ref()?.by_number(number)?.addresses().next())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tracker_that_has_the_node_active_is_enough() {
        let view = View::new();
        assert!(matches!(view.standing(), Standing::Waiting(_)));
        assert!(view.set_standing("a", Standing::Waiting("down".to_owned())));
        assert!(!view.set_standing("a", Standing::Waiting("down".to_owned())));
        assert_eq!(view.standing(), Standing::Waiting("down".to_owned()));
        assert!(view.set_standing("b", Standing::Active));
        assert!(!view.set_standing("a", Standing::Waiting("down".to_owned())));
        assert_eq!(view.standing(), Standing::Active);
        assert!(view.set_standing("b", Standing::Waiting("down, too".to_owned())));
        assert!(matches!(view.standing(), Standing::Waiting(_)));
    }
}
