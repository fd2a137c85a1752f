//! All that a site decides about who may read, how fast, and what answers say; each part is off unless it is configured.

use std::io;
use std::path::PathBuf;

use protocol::config::web_conf::WebConf;

use crate::MimeTable;
use crate::access::Access;
use crate::cors::Cors;
use crate::error_pages::read_page;
use crate::headers::Headers;
use crate::pace::Pace;
use crate::proof::Proof;
use crate::referer::Referers;

/// The parts, in the order in which a request meets them.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    pub(crate) cors: Option<Cors>,
    pub(crate) referers: Option<Referers>,
    pub(crate) proof: Option<Proof>,
    pub(crate) headers: Headers,
    pub(crate) pace: Option<Pace>,
}

/// A file that the configuration names and that cannot be used: its key, its path, why.
pub(crate) type BadFile = (&'static str, PathBuf, io::Error);

impl Policy {
    /// That of a configuration; reads the files that it names. Blocking.
    pub(crate) fn load(conf: &WebConf, mime: &MimeTable) -> Result<Self, BadFile> {
        let referers = match &conf.access.referers {
            None => None,
            Some(referers) => {
                let page = referers.page.as_ref().map(|path| {
                    let page = read_page(path, mime);
                    page.map_err(|error| ("http.invalid_referer_page", path.clone(), error))
                });
                Some(Referers { conf: referers.clone(), page: page.transpose()? })
            }
        };
        let proof = Proof::load(&conf.proof, mime)?;
        let is_private = referers.is_some() || proof.is_some();
        Ok(Self {
            access: Access::new(&conf.access),
            cors: conf.access.cors.as_ref().map(Cors::new),
            referers,
            proof,
            headers: Headers::new(&conf.headers, is_private),
            pace: Pace::new(&conf.pace),
        })
    }
}

impl Policy {
    /// Whether all of it is the same for every request.
    pub(crate) fn is_plain(&self) -> bool {
        let Self { access, cors, referers, proof, headers: _, pace } = self;
        access.is_plain() && cors.is_none() && referers.is_none() && proof.is_none() && pace.is_none()
    }
}

impl Default for Policy {
    /// What applies where nothing is configured.
    fn default() -> Self {
        let headers = Headers::new(&protocol::config::web_conf::HeadersConf::default(), false);
        Self { access: Access::default(), cors: None, referers: None, proof: None, headers, pace: None }
    }
}
