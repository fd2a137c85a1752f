//! `<store path>/data`: one open directory, and the system calls below it. Paths come from parsed names only.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::file_id::SubDir;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, Stat};

/// Files are readable by everybody and writable by the owner, as the reference makes them.
pub(super) const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Directories of the two levels.
pub(super) const DIR_MODE: Mode = Mode::from_raw_mode(0o755);

/// Kinds of names.
const KINDS: usize = 1024;

/// Tells names apart, as far as there are kinds. They end in random characters and an extension.
fn kind_of(name: &str) -> usize {
    let sum = |sum: usize, byte: u8| sum.wrapping_mul(31).wrapping_add(usize::from(byte));
    name.bytes().rev().take(16).fold(0, sum) % KINDS
}

/// The `data` directory of a store path.
pub(super) struct DataDir {
    fd: OwnedFd,
    /// `<store path>/data`, as configured: targets of links are written with it.
    path: PathBuf,
    /// Names that were taken from their files through this, by what [`kind_of`] says of them.
    taken: Box<[AtomicU64; KINDS]>,
}

impl DataDir {
    /// Opens an existing directory.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(CWD, &path, flags, Mode::empty())?;
        Ok(Self { fd, path, taken: Box::new([const { AtomicU64::new(0) }; KINDS]) })
    }

    /// The directory's path as configured.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file for reading, without following a link at its end.
    pub(super) fn open_read(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(fs::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// The same if the kernel knows the way from memory; `WouldBlock` if the disk has to be asked.
    pub(super) fn open_read_cached(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = fs::openat2(&self.fd, name, flags, Mode::empty(), ResolveFlags::CACHED)?;
        Ok(File::from(fd))
    }

    /// Opens an existing file for reading and writing, without following a link.
    pub(super) fn open_write(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(fs::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Makes a new file.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.fd, name, flags, FILE_MODE)?))
    }

    /// Makes a file without a name, near those of a directory.
    pub(super) fn create_unnamed(&self, dir: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.fd, dir, flags, FILE_MODE)?))
    }

    /// Gives a file without a name one, if nothing has it yet.
    pub(super) fn link_file(&self, file: &File, name: &str) -> io::Result<()> {
        match fs::linkat(file, "", &self.fd, name, AtFlags::EMPTY_PATH) {
            // Kernels before 6.10 want a privilege for that; the way over /proc needs none.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::PERM) => {
                let own = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(fs::linkat(CWD, own, &self.fd, name, AtFlags::SYMLINK_FOLLOW)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Gives a file another name, if nothing has it yet.
    pub(super) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE)?;
        self.took_name(from);
        Ok(())
    }

    /// Gives a file another name, over what has it.
    pub(super) fn rename_over(&self, from: &str, to: &str) -> io::Result<()> {
        fs::renameat(&self.fd, from, &self.fd, to)?;
        self.took_name(from);
        self.took_name(to);
        Ok(())
    }

    /// Removes a file or link.
    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        fs::unlinkat(&self.fd, name, AtFlags::empty())?;
        self.took_name(name);
        Ok(())
    }

    /// A name lost its file, or a file under its name became another one to those who read it.
    pub(super) fn took_name(&self, name: &str) {
        self.taken[kind_of(name)].fetch_add(1, Ordering::Release);
    }

    /// A number that changes when the file of this name loses it through this, before anybody is told so; now and then also
    /// when another file loses its own.
    pub(super) fn names_taken(&self, name: &str) -> u64 {
        self.taken[kind_of(name)].load(Ordering::Acquire)
    }

    /// Size, times and type of what has the name, links not followed.
    pub(super) fn stat(&self, name: &str) -> io::Result<Stat> {
        Ok(fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&self, target: &Path, name: &str) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.fd, name)?)
    }

    /// Target of a symbolic link.
    pub(super) fn read_link(&self, name: &str) -> io::Result<String> {
        let target = fs::readlinkat(&self.fd, name, Vec::new())?;
        target.into_string().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Makes a directory that may be there.
    pub(super) fn make_dir(&self, name: &str) -> io::Result<()> {
        match fs::mkdirat(&self.fd, name, DIR_MODE) {
            Ok(()) => self.sync_parent(name),
            Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory of the second level and the one above it; both may be there.
    pub(super) fn make_sub_dir(&self, dir: &SubDir) -> io::Result<()> {
        let path = dir.to_path();
        let (high, _) = path.split_once('/').unwrap_or((&path, ""));
        for name in [high, &path] {
            self.make_dir(name)?;
        }
        Ok(())
    }

    /// Puts the directory that holds `name` on the disk.
    pub(super) fn sync_parent(&self, name: &str) -> io::Result<()> {
        let parent = name.rsplit_once('/').map_or(".", |(parent, _)| parent);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(&self.fd, parent, flags, Mode::empty())?;
        Ok(fs::fsync(directory)?)
    }

    /// Blocks of the file system, for `space`.
    pub(super) fn statvfs(&self) -> io::Result<fs::StatVfs> {
        Ok(fs::statvfs(&self.path)?)
    }

    /// The directory itself.
    pub(super) fn fd(&self) -> impl AsFd + '_ {
        &self.fd
    }
}
