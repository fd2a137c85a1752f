//! Which file a URL's path names.

use http::Uri;
use percent_encoding::percent_decode_str;
use protocol::{FileId, GroupName, LogicName};

/// Names of masters: 44 characters, in a trunk 60. Longer ones that end in `-m` are metadata.
const MASTER_LENS: [usize; 2] = [44, 60];

/// The file that a URL's path names, with or without the group.
pub(crate) fn file_id(uri: &Uri, own: GroupName, merge_slashes: bool) -> Option<FileId> {
    let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
    let id = match parse(&path, own) {
        // As nginx does; sites join a base URL and an ID with one slash too many.
        None if merge_slashes && path.contains("//") => parse(&merged(&path), own)?,
        found => found?,
    };
    (!is_metadata(&id.name)).then_some(id)
}

fn parse(path: &str, own: GroupName) -> Option<FileId> {
    let path = path.strip_prefix('/')?;
    // Without a group first: `M00/00/00/NAME` could also be an old name of a group that is called M00.
    match LogicName::parse(path) {
        Ok(name) => Some(FileId { group: own, name }),
        Err(_) => FileId::parse(path).ok(),
    }
}

fn merged(path: &str) -> String {
    let mut last = ' ';
    path.chars().filter(|next| std::mem::replace(&mut last, *next) != '/' || *next != '/').collect()
}

/// Metadata has a reader of its own; as a file, no visitor is to see it.
fn is_metadata(name: &LogicName) -> bool {
    name.as_str().ends_with("-m") && !MASTER_LENS.contains(&name.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_slashes_are_one() {
        for (path, expected) in
            [("//a", "/a"), ("/a///b/", "/a/b/"), ("/a/b", "/a/b"), ("", ""), ("////", "/")]
        {
            assert_eq!(merged(path), expected, "{path}");
        }
    }
}
