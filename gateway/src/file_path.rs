//! Which file a URL's path names.

use http::Uri;
use percent_encoding::percent_decode_str;
use protocol::{FileId, GroupName, LogicName};

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

/// Metadata has a reader of its own; as a file, no visitor is to see it. A master's extension may end in the same two
/// characters, and a slave may be so long that its metadata has the length of a master.
fn is_metadata(name: &LogicName) -> bool {
    name.as_str().ends_with("-m") && !name.is_made_once()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_every_kind_of_file_has_no_url() {
        let code = "M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE";
        for (rest, is_found) in [
            ("468.txt", true),
            // The extension of a master.
            ("468.x-m", true),
            ("468.txt-m", false),
            ("1234567-m", false),
            ("468_150x150.txt-m", false),
            // As long as a master in a trunk, and as a master.
            ("468_150x150_small.txt-m", false),
            ("468_a-m", false),
            ("468-m.txt", true),
        ] {
            let uri: Uri = format!("/{code}{rest}").parse().unwrap();
            let found = file_id(&uri, GroupName::parse("group1").unwrap(), true);
            assert_eq!(found.is_some(), is_found, "{rest}");
        }
    }

    #[test]
    fn runs_of_slashes_are_one() {
        for (path, expected) in
            [("//a", "/a"), ("/a///b/", "/a/b/"), ("/a/b", "/a/b"), ("", ""), ("////", "/")]
        {
            assert_eq!(merged(path), expected, "{path}");
        }
    }
}
