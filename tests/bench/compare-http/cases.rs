//! What is measured, and the bars.

use std::time::Duration;

use crate::files::Store;
use crate::load::{Load, Request, Sample};
use crate::server::{Cores, Make, Server};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// One kind of load.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    pub(crate) load: Load,
    pub(crate) tls: bool,
    pub(crate) unit: Unit,
    /// Least ratio to nginx and to nginx with the module that is good enough; 0 where nothing is asked.
    pub(crate) bars: [f64; 2],
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// The one file of so many bytes.
    Hot(u64),
    /// Any of the many files of 4 KB, at random.
    Random,
}

/// In what a rate is counted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    Requests,
    /// For files that take longer than a round.
    Mebibytes,
}

/// Every case, in the order of the table.
pub(crate) static ALL: &[Case] = &[
    hot("hot-1k", KIB, [1.0, 1.0]),
    hot("hot-4k", 4 * KIB, [1.2, 1.5]),
    hot("hot-64k", 64 * KIB, [1.0, 1.2]),
    Case { load: Load::Lean { connections: 32 }, ..hot("lean-64k", 64 * KIB, [1.0, 1.2]) },
    large("hot-1m", MIB),
    large("hot-100m", 100 * MIB),
    Case { name: "random-4k", of: Of::Random, ..hot("", 0, [1.2, 1.5]) },
    Case { load: Load::Wrk { connections: 1_000, header: None }, ..hot("many-4k", 4 * KIB, [1.0, 1.5]) },
    with("close-4k", 4 * KIB, "Connection: close"),
    with("range-4k-of-1m", MIB, "Range: bytes=500000-504095"),
    with("range-64k-of-100m", 100 * MIB, "Range: bytes=50000000-50065535"),
    with("range-two-of-1m", MIB, "Range: bytes=0-1023,500000-501023"),
    with("not-modified-4k", 4 * KIB, "If-None-Match: *"),
    Case { tls: true, ..hot("tls-4k", 4 * KIB, [0.9, 0.0]) },
    Case { tls: true, ..large("tls-1m", MIB) },
    Case { tls: true, ..with("tls-close-4k", 4 * KIB, "Connection: close") },
    http2("http2-4k", 4 * KIB),
    Case { unit: Unit::Mebibytes, ..http2("http2-1m", MIB) },
];

const fn hot(name: &'static str, size: u64, bars: [f64; 2]) -> Case {
    let load = Load::Wrk { connections: 32, header: None };
    Case { name, of: Of::Hot(size), load, tls: false, unit: Unit::Requests, bars }
}

const fn large(name: &'static str, size: u64) -> Case {
    Case { unit: Unit::Mebibytes, ..hot(name, size, [1.0, 1.0]) }
}

const fn with(name: &'static str, size: u64, header: &'static str) -> Case {
    Case { load: Load::Wrk { connections: 32, header: Some(header) }, ..hot(name, size, [1.0, 1.0]) }
}

/// By TLS, as browsers do it: few connections with several requests at once each.
const fn http2(name: &'static str, size: u64) -> Case {
    Case { load: Load::H2load { connections: 8, streams: 8 }, tls: true, ..hot(name, size, [0.9, 0.0]) }
}

impl Case {
    /// Whether a server can be asked this.
    pub(crate) fn is_for(&self, server: &Server) -> bool {
        !self.tls || server.tls_url.is_some()
    }

    /// Loads a server for so long.
    pub(crate) fn run(&self, server: &Server, store: &Store, cores: &Cores, time: Duration) -> Sample {
        let url = server.tls_url.as_ref().filter(|_| self.tls).unwrap_or(&server.url);
        let request = match self.of {
            Of::Hot(size) => Request::One(format!("{url}{}", store.hot(size))),
            Of::Random => Request::OneOf(url.clone(), store.paths_file()),
        };
        self.load.run(server, &request, store, cores, time)
    }

    /// The bar for a ratio to such a server.
    pub(crate) fn bar(&self, make: Make) -> f64 {
        match make {
            Make::Nginx => self.bars[0],
            Make::Module => self.bars[1],
            Make::Ours | Make::Base => 0.0,
        }
    }
}
