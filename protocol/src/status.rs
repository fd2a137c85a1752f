//! Status byte of a response: 0 or a Linux errno, whatever system the server runs on.

use std::fmt;
use std::io;

/// A status as sent. Unknown values survive, since a C peer passes any errno of its system calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Name of the errno, such as `ENOENT`, or `None` for a value FastDFS never makes itself.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some(stringify!($name)),)* _ => None }
            }

            /// The errno's text as `strerror` gives it on Linux.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* _ => "Unknown error" }
            }
        }
    };
}

statuses! {
    /// Done.
    OK = 0, "Success";
    /// Not permitted.
    EPERM = 1, "Operation not permitted";
    /// Unknown group or storage; no such file; nobody to serve the request.
    ENOENT = 2, "No such file or directory";
    /// Nothing at this address.
    ESRCH = 3, "No such process";
    /// Interrupted.
    EINTR = 4, "Interrupted system call";
    /// Disk fault.
    EIO = 5, "Input/output error";
    /// Try again, such as no trunk server yet.
    EAGAIN = 11, "Resource temporarily unavailable";
    /// Out of memory.
    ENOMEM = 12, "Cannot allocate memory";
    /// A storage-only command on a connection that did not join.
    EACCES = 13, "Permission denied";
    /// Bad address; the tracker uses it for a storage with a stale identity.
    EFAULT = 14, "Bad address";
    /// In use: storage still active, group not empty.
    EBUSY = 16, "Device or resource busy";
    /// Already there.
    EEXIST = 17, "File exists";
    /// A directory of that name.
    ENOTDIR = 20, "Not a directory";
    /// Not a regular file.
    EISDIR = 21, "Is a directory";
    /// Malformed request, unknown command, bad value.
    EINVAL = 22, "Invalid argument";
    /// Out of descriptors.
    EMFILE = 24, "Too many open files";
    /// Reserved space reached, or the disk is full.
    ENOSPC = 28, "No space left on device";
    /// Disk mounted read-only.
    EROFS = 30, "Read-only file system";
    /// Name too long.
    ENAMETOOLONG = 36, "File name too long";
    /// The storage is not active.
    ENONET = 64, "Machine is not on the network";
    /// Not served in this mode or by this tracker.
    EOPNOTSUPP = 95, "Operation not supported";
    /// Connection reset.
    ECONNRESET = 104, "Connection reset by peer";
    /// Not connected.
    ENOTCONN = 107, "Transport endpoint is not connected";
    /// Too slow.
    ETIMEDOUT = 110, "Connection timed out";
    /// Nobody listens there.
    ECONNREFUSED = 111, "Connection refused";
    /// Already done.
    EALREADY = 114, "Operation already in progress";
    /// Under way.
    EINPROGRESS = 115, "Operation now in progress";
    /// Cancelled.
    ECANCELED = 125, "Operation canceled";
    /// Over the quota.
    EDQUOT = 122, "Disk quota exceeded";
}

impl Status {
    /// Whether the request succeeded.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The status for a failed system call: its errno where that fits the byte that clients take as signed,
    /// else `EIO`.
    pub fn from_io(error: &io::Error) -> Self {
        let by_kind = match error.kind() {
            io::ErrorKind::NotFound => Self::ENOENT,
            io::ErrorKind::PermissionDenied => Self::EACCES,
            io::ErrorKind::AlreadyExists => Self::EEXIST,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::EINVAL,
            io::ErrorKind::TimedOut => Self::ETIMEDOUT,
            io::ErrorKind::StorageFull => Self::ENOSPC,
            _ => Self::EIO,
        };
        match error.raw_os_error().map(u8::try_from) {
            Some(Ok(errno @ 1..=127)) => Self(errno),
            _ => by_kind,
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Status({})", self.0),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name}, {})", self.0, self.text()),
            None => write!(f, "{}", self.0),
        }
    }
}
