use super::*;

fn doubt<T>(read: Lenient<T>) -> (T, String) {
    (read.value, read.doubt.map(|doubt| doubt.to_string()).unwrap_or_default())
}

fn check<T: fmt::Debug + PartialEq>(text: &str, read: Lenient<T>, value: T, says: &str) {
    let (got, said) = doubt(read);
    assert_eq!(got, value, "{text}");
    assert!(said.contains(says) && says.is_empty() == said.is_empty(), "{text}: {said}");
}

#[test]
fn booleans_are_false_unless_they_say_true() {
    for (text, value, says) in [
        ("true", true, ""),
        ("YES", true, ""),
        ("On", true, ""),
        ("1", true, ""),
        ("false", false, ""),
        ("NO", false, ""),
        ("off", false, ""),
        ("0", false, ""),
        ("", false, "no value; read as false"),
        ("enabled", false, "read as false; write true or false"),
        ("T", false, "neither true"),
        ("2", false, "neither true"),
        ("true # on", false, "'#' begins a comment only at the start of a line; read as false"),
    ] {
        check(text, parse_bool(text), value, says);
    }
}

#[test]
fn integers_are_what_atoi_reads() {
    for (text, value, says) in [
        ("12", 12, ""),
        ("-3", -3, ""),
        ("+7", 7, ""),
        ("", 0, "no value; read as 0"),
        ("abc", 0, "not a number; read as 0"),
        ("12abc", 12, "text behind the value; read as 12"),
        ("0x10", 0, "text behind the value; read as 0"),
        ("1.5", 1, "text behind the value; read as 1"),
        ("5 # five", 5, "comment"),
        ("4K", 4, "write 4096"),
        ("99999999999999999999", 2_147_483_647, "out of range"),
        ("-", 0, "not a number"),
    ] {
        check(text, parse_int(text), value, says);
    }
}

#[test]
fn seconds_take_no_unit() {
    for (text, value, says) in [
        ("30", 30, ""),
        ("24h", 24, "read as 24; write 86400"),
        ("10m", 10, "write 600"),
        ("10 minutes", 10, "write 600"),
        ("1d", 1, "write 86400"),
        ("5s", 5, "write 5"),
    ] {
        check(text, parse_seconds(text), value, says);
    }
}

#[test]
fn seconds_of_our_own_keys_take_units() {
    for (text, value, says) in [
        ("30", 30, ""),
        ("30s", 30, ""),
        ("2m", 120, ""),
        ("1 h", 3600, ""),
        ("1d", 86_400, ""),
        ("500ms", 500, "text behind the value"),
        ("soon", 0, "not a number"),
    ] {
        check(text, parse_seconds_with_unit(text), value, says);
    }
}

#[test]
fn sizes_take_units_of_1024() {
    for (text, value) in [
        ("0", Some(0)),
        ("4096", Some(4096)),
        ("64KB", Some(65536)),
        ("64 kb", Some(65536)),
        ("1T", Some(1 << 40)),
        ("2g  ", Some(2 << 30)),
        ("7 ", Some(7)),
        ("1M b", None),
        ("1.5M", None),
        ("5B", None),
        ("10%", None),
        ("-1", None),
        ("abc", None),
        ("64KiB", None),
        ("1G # gig", None),
    ] {
        assert_eq!(parse_bytes(text).ok().map(|read| read.value), value, "{text}");
    }
    check("", parse_bytes("").unwrap(), 0, "no value");
    check("9999999T", parse_bytes("9999999T").unwrap(), i64::MAX.unsigned_abs(), "out of range");
}

#[test]
fn times_of_day() {
    for (text, value) in [
        ("00:00", Some("00:00")),
        ("1:5", Some("01:05")),
        ("23:59:58", Some("23:59:58")),
        (" 2:30 about", Some("02:30")),
        ("2:30:x", Some("02:30")),
        ("24:00", None),
        ("1:60", None),
        ("1:1:60", None),
        ("-1:00", None),
        ("", None),
        ("noon", None),
        ("12", None),
        ("12:", None),
    ] {
        let got = parse_time_of_day(text).ok().map(|read| read.value.to_string());
        assert_eq!(got.as_deref(), value, "{text}");
    }
    check("2:30 x", parse_time_of_day("2:30 x").unwrap(), TimeOfDay::at(2, 30), "text behind");
    assert_eq!(TimeOfDay::at(1, 30).since_midnight(), Duration::from_secs(5400));
}

#[test]
fn a_comment_behind_a_text_belongs_to_it() {
    check("/data # disk", parse_text("/data # disk"), "/data # disk", "read as /data # disk");
    check("/data#1", parse_text("/data#1"), "/data#1", "");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", number in "[-+0-9a-zA-Z:.#% \t]{0,24}") {
        for text in [text, number] {
            let _ = (parse_bool(&text), parse_int(&text), parse_seconds(&text));
            let _ = (parse_bytes(&text), parse_time_of_day(&text), parse_text(&text));
        }
    }
}
