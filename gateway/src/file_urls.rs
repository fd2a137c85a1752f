//! How this site answers file URLs, made ready at a load: what caches are told, how many ranges, FLV, slashes.

use http::HeaderValue;
use protocol::config::web_conf::FileUrlConf;

use crate::flv::Flv;

/// Settings of file URLs.
#[derive(Debug, Clone)]
pub(crate) struct FileUrls {
    /// Most ranges of one request; 0 serves none at all.
    pub(crate) max_ranges: usize,
    /// `Cache-Control` of files that never change.
    pub(crate) lasting: Option<HeaderValue>,
    /// `Cache-Control` of the others.
    pub(crate) changing: Option<HeaderValue>,
    /// Which files `?start=` cuts.
    pub(crate) flv: Option<Flv>,
    /// Whether `//` in a path is read as `/`.
    pub(crate) merge_slashes: bool,
}

impl FileUrls {
    pub(crate) fn of(conf: &FileUrlConf) -> Self {
        let header = |text: &Option<String>| text.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
        Self {
            max_ranges: conf.max_ranges,
            lasting: header(&conf.cache_control),
            changing: header(&conf.cache_control_changing),
            flv: conf.flv_extension.as_deref().map(Flv::new),
            merge_slashes: conf.merge_slashes,
        }
    }
}
