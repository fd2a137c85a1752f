//! Ranges.

use gateway::Settings;

use super::Is::{Nothing, Part, Parts, Refusal, Whole};
use super::Kind::{Appender, Empty, Large, Normal, Slave};
use super::{Is, Kind, Row, run};

type Headers = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
const fn get(rule: &'static str, kind: Kind, headers: Headers, status: u16, facts: Headers, body: Is) -> Row {
    Row { rule, method: "GET", target: "/{id}", headers, kind, status, facts, body }
}

#[rustfmt::skip]
const SINGLE: &[Row] = &[
    get("14.1.2 first byte", Normal, &[("range", "bytes=0-0")], 206, &[("content-range", "bytes 0-0/1000"), ("content-length", "1"), ("content-type", "text/plain"), ("etag", "{etag}"), ("accept-ranges", "bytes")], Part(0, 1)),
    get("14.1.2 closed", Normal, &[("range", "bytes=10-19")], 206, &[("content-range", "bytes 10-19/1000")], Part(10, 20)),
    get("14.1.2 open", Normal, &[("range", "bytes=990-")], 206, &[("content-range", "bytes 990-999/1000")], Part(990, 1000)),
    get("14.1.2 whole", Normal, &[("range", "bytes=0-")], 206, &[("content-range", "bytes 0-999/1000")], Whole),
    get("14.1.2 suffix", Normal, &[("range", "bytes=-5")], 206, &[("content-range", "bytes 995-999/1000")], Part(995, 1000)),
    get("14.1.2 long suffix", Normal, &[("range", "bytes=-5000")], 206, &[("content-range", "bytes 0-999/1000")], Whole),
    get("14.1.2 last byte past the end", Normal, &[("range", "bytes=999-99999999999999999999999")], 206, &[("content-range", "bytes 999-999/1000")], Part(999, 1000)),
    get("14.1 unit in capitals", Normal, &[("range", "Bytes=1-2")], 206, &[("content-range", "bytes 1-2/1000")], Part(1, 3)),
    get("14.2 appender", Appender, &[("range", "bytes=1-2")], 206, &[("content-range", "bytes 1-2/1000"), ("cache-control", "no-cache")], Part(1, 3)),
    get("14.2 slave", Slave, &[("range", "bytes=1-2")], 206, &[("content-range", "bytes 1-2/1000"), ("content-type", "image/jpeg")], Part(1, 3)),
    get("14.2 across pieces of a large file", Large, &[("range", "bytes=100000-400000")], 206, &[("content-range", "bytes 100000-400000/600001"), ("content-length", "300001")], Part(100_000, 400_001)),
    get("14.2 end of a large file", Large, &[("range", "bytes=-1")], 206, &[("content-range", "bytes 600000-600000/600001")], Part(600_000, 600_001)),
    Row { rule: "14.2 without the group", method: "GET", target: "/{name}", headers: &[("range", "bytes=3-5")], kind: Normal, status: 206, facts: &[], body: Part(3, 6) },
    Row { rule: "14.2 HEAD has none", method: "HEAD", target: "/{id}", headers: &[("range", "bytes=3-5")], kind: Normal, status: 200, facts: &[("content-length", "1000"), ("content-range", "")], body: Nothing },
    Row { rule: "14.2 HEAD has none, not even an odd one", method: "HEAD", target: "/{id}", headers: &[("range", "bytes=5000-")], kind: Normal, status: 200, facts: &[("content-length", "1000")], body: Nothing },
];

#[rustfmt::skip]
const NONE: &[Row] = &[
    get("15.5.17 past the end", Normal, &[("range", "bytes=1000-")], 416, &[("content-range", "bytes */1000"), ("etag", "")], Refusal("range_not_satisfiable")),
    get("15.5.17 suffix of nothing", Normal, &[("range", "bytes=-0")], 416, &[("content-range", "bytes */1000")], Refusal("range_not_satisfiable")),
    get("15.5.17 empty file", Empty, &[("range", "bytes=0-0")], 416, &[("content-range", "bytes */0")], Refusal("range_not_satisfiable")),
    get("15.5.17 suffix of an empty file", Empty, &[("range", "bytes=-1")], 416, &[("content-range", "bytes */0")], Refusal("range_not_satisfiable")),
    get("15.5.17 large", Large, &[("range", "bytes=600001-")], 416, &[("content-range", "bytes */600001")], Refusal("range_not_satisfiable")),
    get("15.5.17 all of several", Normal, &[("range", "bytes=2000-,3000-4000")], 416, &[("content-range", "bytes */1000")], Refusal("range_not_satisfiable")),
    get("15.5.17 appender", Appender, &[("range", "bytes=1000-1000")], 416, &[("content-range", "bytes */1000")], Refusal("range_not_satisfiable")),
    get("14.2 backwards", Normal, &[("range", "bytes=5-4")], 200, &[("content-range", "")], Whole),
    get("14.2 letters", Normal, &[("range", "bytes=a-b")], 200, &[], Whole),
    get("14.2 sign", Normal, &[("range", "bytes=+1-2")], 200, &[], Whole),
    get("14.2 no range", Normal, &[("range", "bytes=")], 200, &[], Whole),
    get("14.2 only a dash", Normal, &[("range", "bytes=-")], 200, &[], Whole),
    get("14.2 no unit", Normal, &[("range", "0-5")], 200, &[], Whole),
    get("14.2 another unit", Normal, &[("range", "rows=0-5")], 200, &[], Whole),
    get("14.2 one bad among good ones", Normal, &[("range", "bytes=0-5,x-7")], 200, &[], Whole),
];

#[rustfmt::skip]
const SEVERAL: &[Row] = &[
    get("14.6 two", Normal, &[("range", "bytes=0-9,500-509")], 206, &[("etag", "{etag}"), ("accept-ranges", "bytes")], Parts(&[(0, 10), (500, 510)])),
    get("14.6 the order asked for", Normal, &[("range", "bytes=500-509, 0-9")], 206, &[], Parts(&[(500, 510), (0, 10)])),
    get("14.6 suffix and open", Normal, &[("range", "bytes=0-0,300-309,-1")], 206, &[], Parts(&[(0, 1), (300, 310), (999, 1000)])),
    get("5.6.1 empty elements", Normal, &[("range", "bytes=,0-9,, 500-509,")], 206, &[], Parts(&[(0, 10), (500, 510)])),
    get("14.6 the unsatisfiable are left out", Normal, &[("range", "bytes=0-9,500-509,5000-")], 206, &[], Parts(&[(0, 10), (500, 510)])),
    get("15.3.7.2 one left is no multipart", Normal, &[("range", "bytes=0-9,5000-")], 206, &[("content-range", "bytes 0-9/1000"), ("content-type", "text/plain")], Part(0, 10)),
    get("15.3.7.2 overlapping are joined", Normal, &[("range", "bytes=0-9,5-19")], 206, &[("content-range", "bytes 0-19/1000")], Part(0, 20)),
    get("15.3.7.2 near are joined", Normal, &[("range", "bytes=0-9,20-29")], 206, &[("content-range", "bytes 0-29/1000")], Part(0, 30)),
    get("14.6 slave", Slave, &[("range", "bytes=0-9,500-509")], 206, &[], Parts(&[(0, 10), (500, 510)])),
    get("14.6 large, across pieces", Large, &[("range", "bytes=0-9,200000-500000,-1")], 206, &[], Parts(&[(0, 10), (200_000, 500_001), (600_000, 600_001)])),
];

#[rustfmt::skip]
const IF_RANGE: &[Row] = &[
    get("13.1.5 same tag", Normal, &[("range", "bytes=0-9"), ("if-range", "{etag}")], 206, &[], Part(0, 10)),
    get("13.1.5 other tag", Normal, &[("range", "bytes=0-9"), ("if-range", "\"x\"")], 200, &[], Whole),
    get("13.1.5 weak never", Normal, &[("range", "bytes=0-9"), ("if-range", "W/{etag}")], 200, &[], Whole),
    get("13.1.5 same date", Normal, &[("range", "bytes=0-9"), ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")], 206, &[], Part(0, 10)),
    get("13.1.5 later date", Normal, &[("range", "bytes=0-9"), ("if-range", "Sun, 06 Nov 1994 08:49:38 GMT")], 200, &[], Whole),
    get("13.1.5 rubbish", Normal, &[("range", "bytes=0-9"), ("if-range", "rubbish")], 200, &[], Whole),
    get("13.1.5 no 416 for another version", Normal, &[("range", "bytes=5000-"), ("if-range", "\"x\"")], 200, &[], Whole),
    get("13.1.5 appender", Appender, &[("range", "bytes=0-9"), ("if-range", "{etag}")], 206, &[], Part(0, 10)),
    get("8.8.2.2 the date of what changes is weak", Appender, &[("range", "bytes=0-9"), ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")], 200, &[], Whole),
    get("13.2.2 a 304 goes first", Normal, &[("range", "bytes=0-9"), ("if-none-match", "{etag}")], 304, &[("content-range", "")], Nothing),
    get("13.2.2 a 412 goes first", Normal, &[("range", "bytes=5000-"), ("if-match", "\"x\"")], 412, &[], Refusal("precondition_failed")),
];

#[tokio::test]
async fn one_range() {
    run(SINGLE, &Settings::plain()).await;
}

#[tokio::test]
async fn ranges_that_are_none() {
    run(NONE, &Settings::plain()).await;
}

#[tokio::test]
async fn several_ranges() {
    run(SEVERAL, &Settings::plain()).await;
}

#[tokio::test]
async fn ranges_of_one_version() {
    run(IF_RANGE, &Settings::plain()).await;
}

#[tokio::test]
async fn several_ranges_switched_off_give_the_whole_file() {
    let rows = [
        get("14.2", Normal, &[("range", "bytes=0-9,500-509")], 200, &[], Whole),
        get("14.2", Normal, &[("range", "bytes=0-9")], 206, &[], Part(0, 10)),
    ];
    let mut settings = Settings::plain();
    settings.multi_range = false;
    run(&rows, &settings).await;
}
