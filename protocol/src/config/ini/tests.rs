use super::*;

/// Entries as `section/name=value@line`, and the findings.
fn read_at(text: &str, path: &Path) -> (Vec<String>, Vec<String>) {
    let mut found = Diagnostics::default();
    let ini = Ini::parse(text, path, &LocalFacts::none(), &mut found);
    let line = |section: &Section, entry: &Entry| {
        format!("{}/{}={}@{}", section.name, entry.name, entry.value, entry.place.line)
    };
    let entries = ini
        .sections()
        .iter()
        .flat_map(|section| section.entries.iter().map(move |entry| line(section, entry)));
    (entries.collect(), found.as_slice().iter().map(ToString::to_string).collect())
}

fn check(text: &str, expected: &[&str], says: &[&str]) {
    let (entries, found) = read_at(text, Path::new("/etc/a.conf"));
    assert_eq!(entries, expected, "{text:?}");
    let fits = found.len() == says.len() && found.iter().zip(says).all(|(found, says)| found.contains(says));
    assert!(fits, "{text:?}: {found:#?}");
}

#[test]
fn lines() {
    check("", &[], &[]);
    check("a=1\n b\t=  2 \r\n", &["/a=1@1", "/b=2@2"], &[]);
    check("# a=1\n  # b=2\n\n##include x\n", &[], &[]);
    check("a=b=c\nd=\n", &["/a=b=c@1", "/d=@2"], &[]);
    check("a = 1 # one\n", &["/a=1 # one@1"], &[]);
    check("word\n=1\na=1\n", &["/a=1@3"], &["'word' is not 'key = value'", "no key before '='"]);
    check("\u{feff}a=1\n", &["/a=1@1"], &["byte order mark"]);
    check("a=\u{fffd}\n", &["/a=\u{fffd}@1"], &["not UTF-8"]);
}

#[test]
fn sections() {
    check("a=1\n[s]\na=2\n[ t ]\na=3\n[s]\nb=4\n", &["/a=1@1", "s/a=2@3", "s/b=4@7", "t/a=3@5"], &[]);
    check("[]\na=1\n", &["/a=1@2"], &[]);
    check("[open\n", &[], &["'[open' is not 'key = value'"]);
}

#[test]
fn repeated_keys_are_kept_and_the_last_counts_for_scalars() {
    let mut found = Diagnostics::default();
    let text = "a=1\na=2\n[s]\na=3\n";
    let ini = Ini::parse(text, Path::new("/etc/a.conf"), &LocalFacts::none(), &mut found);
    let values = |section| ini.all(section, "a").map(|entry| entry.value.as_str()).collect::<Vec<_>>();
    assert_eq!((values(""), values("s"), values("none")), (vec!["1", "2"], vec!["3"], vec![]));
    assert_eq!(ini.last("", "a").unwrap().value, "2");
    assert_eq!(ini.last("", "b"), None);
    assert!(ini.has_section("s") && !ini.has_section("t"));
    assert_eq!(ini.relative("b.conf"), Path::new("/etc/b.conf"));
    assert_eq!(ini.relative("/b.conf"), Path::new("/b.conf"));
}

#[test]
fn long_names_and_values_are_cut_and_said() {
    let (name, value) = ("n".repeat(64), "v".repeat(256));
    let (short_name, short_value) = (&name[..63], &value[..255]);
    check(&format!("{name}=1"), &[&format!("/{short_name}=1@1")], &["64 bytes; read as its first 63"]);
    check(&format!("a={value}"), &[&format!("/a={short_value}@1")], &["256 bytes; read as its first 255"]);
    // A character that would be split goes too.
    let value = format!("{}ö", "v".repeat(254));
    check(&format!("a={value}"), &[&format!("/a={}@1", &value[..254])], &["read as its first 254"]);
}

#[test]
fn includes_are_relative_to_the_top_file_and_begin_and_end_in_the_global_section() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    write("sub/one.conf", "one=1\n[s]\nin=1\n#include two.conf\nafter=1\n");
    write("two.conf", "two=2\n");
    write("self.conf", "again=1\n#include self.conf\n");
    let top = directory.path().join("top.conf");
    let text = "[s]\na=1\n#INCLUDE\tsub/one.conf\nb=2\n";
    let (entries, found) = read_at(text, &top);
    assert_eq!(entries, ["/one=1@1", "/two=2@1", "/after=1@5", "/b=2@4", "s/a=1@2", "s/in=1@3"]);
    assert_eq!(found, [""; 0]);
    let absolute = format!("#include file://{}/two.conf", directory.path().display());
    assert_eq!(read_at(&absolute, &top).0, ["/two=2@1"]);

    let (entries, found) = read_at("#include self.conf", &top);
    assert_eq!(entries.len(), MAX_INCLUDE_DEPTH);
    assert!(found.len() == 1 && found[0].contains("does a file include itself?"), "{found:?}");
    let (_, found) = read_at("#include none.conf\n#include http://h/a.conf", &top);
    assert!(
        found.len() == 2 && found[0].contains("cannot include") && found[1].contains("not fetched"),
        "{found:?}"
    );
}

#[test]
fn an_included_file_sees_variables_of_its_includer() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in.conf"), "#@function REPLACE_VARS\na=%{V}\n").unwrap();
    let (entries, _) = read_at("#@set V = 7\n#include in.conf\n", &directory.path().join("top.conf"));
    assert_eq!(entries, ["/a=7@2"]);
}

#[test]
fn files_that_are_missing_or_too_large_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut found) = (directory.path().join("a.conf"), Diagnostics::default());
    let mut load = || Ini::load(&path, &LocalFacts::none(), &mut found);
    assert!(matches!(load(), Err(ConfigError::Read { .. })));
    std::fs::write(&path, "a=1").unwrap();
    assert!(load().is_ok());
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE_LEN + 1).unwrap();
    assert!(matches!(load(), Err(ConfigError::Read { .. })));
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(lines in proptest::collection::vec(
            "(#@(set|if|for|function|else|endif|endfor) )?[%{}A-Z=\\[\\]$,/ a-z0-9.]{0,40}", 0..20,
        )) {
            let _ = read_at(&lines.join("\n"), Path::new("/nowhere/a.conf"));
        }
    }
}
