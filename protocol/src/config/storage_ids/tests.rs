use super::*;

fn facts() -> LocalFacts {
    LocalFacts {
        resolve: |host| match host {
            "inner.example" => vec!["10.0.0.7".parse().unwrap()],
            "outer.example" => vec!["8.8.4.4".parse().unwrap()],
            _ => Vec::new(),
        },
        ..LocalFacts::none()
    }
}

fn parse(text: &str) -> Result<StorageIds, String> {
    let read = StorageIds::parse(text, Path::new("storage_ids.conf"), &facts());
    read.map(|(ids, _)| ids).map_err(|why| why.to_string())
}

#[test]
fn lines_and_the_form_in_which_they_are_served() {
    for (line, served) in [
        ("1 g 10.0.0.1", "1 g 10.0.0.1:23000"),
        ("  100001\tgroup1   10.0.0.1:23001  ", "100001 group1 10.0.0.1:23001"),
        ("16777215 g 10.0.0.1", "16777215 g 10.0.0.1:23000"),
        ("1 g 10.0.0.1 rw=READONLY", "1 g 10.0.0.1:23000 rw=read"),
        ("1 g 10.0.0.1 rw=writeonly", "1 g 10.0.0.1:23000 rw=write"),
        ("1 g 10.0.0.1 RW=none", "1 g 10.0.0.1:23000 rw=none"),
        ("1 g 10.0.0.1 rw=all", "1 g 10.0.0.1:23000"),
        ("1 g 10.0.0.1,8.8.4.4:7", "1 g 10.0.0.1,8.8.4.4:7"),
        ("1 g 8.8.4.4,10.0.0.1", "1 g 10.0.0.1,8.8.4.4:23000"),
        ("1 g [fe80::1]:7", "1 g [fe80::1]:7"),
        ("1 g [10.0.0.1,fe80::1]", "1 g [10.0.0.1,fe80::1]:23000"),
        ("1 g inner.example", "1 g 10.0.0.7:23000"),
        ("1 g outer.example,inner.example", "1 g 10.0.0.7,8.8.4.4:23000"),
    ] {
        let ids = parse(&format!("# table\n\n{line}\r\n")).unwrap();
        let lines: Vec<_> = ids.entries().iter().map(ToString::to_string).collect();
        assert_eq!(lines, [served], "{line}");
        let again = StorageIds::parse_served(&format!("{served}\n"), "10.0.0.1:22122").unwrap();
        assert_eq!(again, ids, "what is served reads back");
    }
}

#[test]
fn lines_that_are_refused() {
    for (text, says) in [
        ("", "no storage is listed"),
        ("1 g", "not 'id group host"),
        ("0 g 10.0.0.1", "from 1 to 16777215"),
        ("16777216 g 10.0.0.1", "from 1 to 16777215"),
        ("01 g 10.0.0.1", "without leading zero"),
        ("+1 g 10.0.0.1", "must be a number"),
        ("1 g-1 10.0.0.1", "ASCII letters"),
        ("1 g 10.0.0.1:0", "10.0.0.1:0"),
        ("1 g 10.0.0.1,10.0.0.2", "different networks"),
        ("1 g 10.0.0.1,inner.example", "different networks"),
        ("1 g 10.0.0.1,8.8.4.4,1.1.1.1", "at most two"),
        ("1 g unknown.example", "has no address"),
        ("1 g 10.0.0.1 rw=maybe", "'rw=maybe' is not"),
        ("1 g 10.0.0.1 # note", "comments need a line of their own"),
        ("1 g 10.0.0.1\n1 g 10.0.0.2", "id 1 is given on line 1 too"),
        ("1 g 10.0.0.1\n2 h 10.0.0.1", "belongs to id 1 too"),
        ("1 g 10.0.0.1,8.8.4.4\n2 g 8.8.4.4", "belongs to id 1 too"),
    ] {
        let why = parse(text).unwrap_err();
        assert!(why.contains(says), "{text}: {why}");
    }
}

#[test]
fn look_ups() {
    let ids = parse("2 g 10.0.0.1\n10 g 10.0.0.1:7\n9 h 10.0.0.2,8.8.4.4\n").unwrap();
    let (g, h) = (GroupName::parse("g").unwrap(), GroupName::parse("h").unwrap());
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let order: Vec<_> = ids.entries().iter().map(|entry| entry.number).collect();
    assert_eq!(order, [10, 2, 9], "by id as text");
    let number = |entry: Option<&StorageIdEntry>| entry.map(|entry| entry.number);
    assert_eq!(number(ids.by_id(&StorageId::parse("9").unwrap())), Some(9));
    assert_eq!(number(ids.by_number(10)), Some(10));
    assert_eq!(number(ids.by_number(11)), None);
    assert_eq!(number(ids.by_address(&g, ip("10.0.0.1"), 23_000)), Some(2));
    assert_eq!(number(ids.by_address(&g, ip("10.0.0.1"), 7)), Some(10));
    assert_eq!(number(ids.by_address(&g, ip("10.0.0.1"), 8)), None);
    assert_eq!(number(ids.by_address(&h, ip("8.8.4.4"), 23_000)), Some(9));
    assert_eq!(number(ids.by_address(&g, ip("8.8.4.4"), 23_000)), None, "of another group");
    assert_eq!(ids.by_ip(g, ip("10.0.0.1")).map(|entry| entry.number).collect::<Vec<_>>(), [10, 2]);
    assert!(!ids.has_v6());
    assert!(parse("1 g fe80::1").unwrap().has_v6());
}

#[test]
fn the_table_is_served_in_pages_of_whole_lines() {
    let text: String = (1..=100).map(|number| format!("{number} group1 10.0.1.{number}\n")).collect();
    let ids = parse(&text).unwrap();
    let (mut start, mut pages, mut served) = (0, 0, String::new());
    while start < 100 {
        let (count, page) = ids.serve(start, 512);
        assert!(count > 0 && page.len() <= 512 && page.ends_with('\n') && page.lines().count() == count);
        (start, pages) = (start + count, pages + 1);
        served.push_str(&page);
    }
    assert!(pages > 3);
    assert_eq!(StorageIds::parse_served(&served, "a tracker").unwrap(), ids);
    assert_eq!(ids.serve(100, 512), (0, String::new()));
    assert_eq!(StorageIds::parse_served("", "a tracker").unwrap(), StorageIds::default());
}
