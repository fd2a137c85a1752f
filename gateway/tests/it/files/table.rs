//! Names, methods, validators and conditions.

use gateway::Settings;

use super::Is::{Nothing, Refusal, Whole};
use super::Kind::{Appender, Bare, Empty, Large, Normal, Slave};
use super::{Is, Kind, Row, run};

const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

type Headers = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
const fn get(rule: &'static str, kind: Kind, headers: Headers, status: u16, facts: Headers, body: Is) -> Row {
    Row { rule, method: "GET", target: "/{id}", headers, kind, status, facts, body }
}

#[rustfmt::skip]
const fn head(rule: &'static str, kind: Kind, headers: Headers, status: u16, facts: Headers) -> Row {
    Row { rule, method: "HEAD", target: "/{id}", headers, kind, status, facts, body: Nothing }
}

#[rustfmt::skip]
const fn at(rule: &'static str, target: &'static str, status: u16, facts: Headers, body: Is) -> Row {
    Row { rule, method: "GET", target, headers: &[], kind: Normal, status, facts, body }
}

#[rustfmt::skip]
const fn by(rule: &'static str, method: &'static str, facts: Headers) -> Row {
    Row { rule, method, target: "/{id}", headers: &[], kind: Normal, status: 405, facts, body: Refusal("method_not_allowed") }
}

#[rustfmt::skip]
const PLAIN: &[Row] = &[
    get("9.3.1 normal", Normal, &[], 200, &[("content-type", "text/plain"), ("accept-ranges", "bytes"), ("etag", "{etag}"), ("last-modified", SAME), ("cache-control", FOR_EVER), ("x-content-type-options", "nosniff"), ("content-range", ""), ("content-disposition", "")], Whole),
    get("9.3.1 appender", Appender, &[], 200, &[("etag", "{etag}"), ("last-modified", SAME), ("cache-control", "no-cache")], Whole),
    get("9.3.1 slave", Slave, &[], 200, &[("content-type", "image/jpeg"), ("etag", "{etag}"), ("cache-control", "no-cache")], Whole),
    get("9.3.1 empty", Empty, &[], 200, &[("content-length", "0"), ("etag", "{etag}"), ("cache-control", FOR_EVER)], Whole),
    get("9.3.1 large", Large, &[], 200, &[("content-type", "image/jpeg"), ("content-length", "600001"), ("etag", "{etag}"), ("cache-control", FOR_EVER)], Whole),
    get("8.3 unknown type", Bare, &[], 200, &[("content-type", "application/octet-stream"), ("x-content-type-options", "nosniff")], Whole),
    head("9.3.2 normal", Normal, &[], 200, &[("content-length", "{len}"), ("content-type", "text/plain"), ("etag", "{etag}"), ("last-modified", SAME), ("accept-ranges", "bytes")]),
    head("9.3.2 appender", Appender, &[], 200, &[("content-length", "{len}"), ("etag", "{etag}")]),
    head("9.3.2 slave", Slave, &[], 200, &[("content-length", "{len}"), ("content-type", "image/jpeg")]),
    head("9.3.2 empty", Empty, &[], 200, &[("content-length", "0")]),
    head("9.3.2 large", Large, &[], 200, &[("content-length", "600001")]),
];

#[rustfmt::skip]
const NAMES: &[Row] = &[
    at("4.2 without the group", "/{name}", 200, &[("etag", "{etag}")], Whole),
    at("4.2 with a query of no meaning", "/{id}?v=3&utm_source=x&&=&%", 200, &[], Whole),
    at("RFC 3986 6.2.2.2 escaped letters", "/%67roup1/{name}", 200, &[], Whole),
    at("15.5.5 another group", "/group2/{name}", 404, &[], Refusal("no_such_file")),
    at("15.5.5 another path", "/group1/M01/00/00/fwARAS68Mb4-AAEAAAAAA-hlXd0ABCDEFG.txt", 404, &[], Refusal("no_such_file")),
    at("15.5.5 metadata", "/{id}-m", 404, &[], Refusal("no_such_file")),
    at("15.5.5 metadata, escaped", "/{id}%2Dm", 404, &[], Refusal("no_such_file")),
    at("15.5.5 metadata without the group", "/{name}-m", 404, &[], Refusal("no_such_file")),
    at("15.5.5 root", "/", 404, &[], Refusal("no_such_file")),
    at("15.5.5 group only", "/group1", 404, &[], Refusal("no_such_file")),
    at("15.5.5 directory", "/group1/M00/00/00/", 404, &[], Refusal("no_such_file")),
    at("15.5.5 upwards", "/group1/M00/00/00/../../../../etc/passwd", 404, &[], Refusal("no_such_file")),
    at("15.5.5 upwards, escaped", "/group1/M00/00/00/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, &[], Refusal("no_such_file")),
    at("15.5.5 the parent", "/group1/M00/00/00/..", 404, &[], Refusal("no_such_file")),
    at("15.5.5 NUL", "/{id}%00.png", 404, &[], Refusal("no_such_file")),
    at("15.5.5 line break", "/{id}%0d%0aX:%20y", 404, &[], Refusal("no_such_file")),
    at("15.5.5 no UTF-8", "/group1/M00/00/00/%ff%fe", 404, &[], Refusal("no_such_file")),
    at("15.5.5 backslash", "/group1/M00/00/00/..%5c..%5cpasswd", 404, &[], Refusal("no_such_file")),
    at("15.5.5 lower-case directories", "/group1/M00/0a/0b/{etag}", 404, &[], Refusal("no_such_file")),
    at("15.5.5 doubled slash", "//{id}", 404, &[], Refusal("no_such_file")),
    at("15.5.5 slash at the end", "/{id}/", 404, &[], Refusal("no_such_file")),
];

#[rustfmt::skip]
const DISPOSITIONS: &[Row] = &[
    at("RFC 6266 4.3", "/{id}?filename=a+b.txt", 200, &[("content-disposition", "attachment; filename=\"a b.txt\"")], Whole),
    at("RFC 6266 4.3 empty", "/{id}?filename=", 200, &[("content-disposition", "attachment")], Whole),
    at("RFC 8187", "/{id}?filename=%E5%9B%BE.png", 200, &[("content-disposition", "attachment; filename=\"_.png\"; filename*=UTF-8''%E5%9B%BE.png"), ("content-type", "text/plain")], Whole),
    at("5.6.4 quotes", "/{id}?filename=a%22%3B%20x%3D%22%5C", 200, &[("content-disposition", "attachment; filename=\"a\\\"; x=\\\"\\\\\"")], Whole),
    at("5.5 injection", "/{id}?filename=a%0d%0aSet-Cookie:%20x%3Dy", 400, &[("set-cookie", ""), ("content-disposition", "")], Refusal("bad_filename")),
    at("5.5 NUL", "/{id}?filename=a%00b", 400, &[], Refusal("bad_filename")),
    at("5.5 the first counts", "/{id}?filename=one&filename=two", 200, &[("content-disposition", "attachment; filename=\"one\"")], Whole),
];

#[rustfmt::skip]
const METHODS: &[Row] = &[
    by("15.5.6 POST", "POST", &[("allow", "GET, HEAD")]),
    by("15.5.6 PUT", "PUT", &[("allow", "GET, HEAD")]),
    by("15.5.6 DELETE", "DELETE", &[("allow", "GET, HEAD")]),
    by("15.5.6 PATCH", "PATCH", &[("allow", "GET, HEAD")]),
    by("15.5.6 made up", "BREW", &[("allow", "GET, HEAD")]),
    Row { rule: "9.1 case counts", method: "get", target: "/{id}", headers: &[], kind: Normal, status: 405, facts: &[("allow", "GET, HEAD")], body: Refusal("method_not_allowed") },
    Row { rule: "15.5.5 POST elsewhere", method: "POST", target: "/nothing", headers: &[], kind: Normal, status: 404, facts: &[], body: Refusal("no_such_file") },
    Row { rule: "15.5.6 GET on the uploads", method: "GET", target: "/v1/files", headers: &[], kind: Normal, status: 405, facts: &[("allow", "POST")], body: Refusal("method_not_allowed") },
    Row { rule: "9.3.2 health", method: "HEAD", target: "/healthz", headers: &[], kind: Normal, status: 200, facts: &[("content-type", "application/json")], body: Nothing },
];

#[rustfmt::skip]
const CONDITIONS: &[Row] = &[
    get("13.1.1 same", Normal, &[("if-match", "{etag}")], 200, &[], Whole),
    get("13.1.1 star", Normal, &[("if-match", "*")], 200, &[], Whole),
    get("13.1.1 in a list", Normal, &[("if-match", "\"a,b\", {etag}")], 200, &[], Whole),
    get("13.1.1 on two lines", Normal, &[("if-match", "\"a\""), ("if-match", "{etag}")], 200, &[], Whole),
    get("13.1.1 other", Normal, &[("if-match", "\"a\"")], 412, &[], Refusal("precondition_failed")),
    get("13.1.1 weak is another", Normal, &[("if-match", "W/{etag}")], 412, &[], Refusal("precondition_failed")),
    get("13.1.1 appender", Appender, &[("if-match", "{etag}")], 200, &[], Whole),
    get("13.1.1 large", Large, &[("if-match", "\"a\"")], 412, &[], Refusal("precondition_failed")),
    head("13.1.1 HEAD", Normal, &[("if-match", "\"a\"")], 412, &[]),
    get("13.1.2 same", Normal, &[("if-none-match", "{etag}")], 304, &[("etag", "{etag}"), ("cache-control", FOR_EVER), ("last-modified", SAME), ("content-type", "")], Nothing),
    get("13.1.2 star", Normal, &[("if-none-match", "*")], 304, &[], Nothing),
    get("13.1.2 weak comparison", Normal, &[("if-none-match", "W/{etag}")], 304, &[], Nothing),
    get("13.1.2 in a list", Normal, &[("if-none-match", "\"x\" , {etag}")], 304, &[], Nothing),
    get("13.1.2 other", Normal, &[("if-none-match", "\"x\"")], 200, &[], Whole),
    get("13.1.2 appender", Appender, &[("if-none-match", "{etag}")], 304, &[("cache-control", "no-cache")], Nothing),
    get("13.1.2 slave", Slave, &[("if-none-match", "{etag}")], 304, &[], Nothing),
    get("13.1.2 empty", Empty, &[("if-none-match", "{etag}")], 304, &[], Nothing),
    get("13.1.2 large", Large, &[("if-none-match", "{etag}")], 304, &[], Nothing),
    head("13.1.2 HEAD", Normal, &[("if-none-match", "{etag}")], 304, &[("etag", "{etag}")]),
    get("13.1.3 same", Normal, &[("if-modified-since", SAME)], 304, &[], Nothing),
    get("13.1.3 later", Normal, &[("if-modified-since", LATER)], 304, &[], Nothing),
    get("13.1.3 before", Normal, &[("if-modified-since", BEFORE)], 200, &[], Whole),
    get("5.6.7 RFC 850 date", Normal, &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], 304, &[], Nothing),
    get("5.6.7 asctime date", Normal, &[("if-modified-since", "Sun Nov  6 08:49:37 1994")], 304, &[], Nothing),
    get("13.1.3 no date", Normal, &[("if-modified-since", "recently")], 200, &[], Whole),
    get("13.1.3 ignored beside a tag", Normal, &[("if-none-match", "\"x\""), ("if-modified-since", LATER)], 200, &[], Whole),
    get("13.1.4 same", Normal, &[("if-unmodified-since", SAME)], 200, &[], Whole),
    get("13.1.4 before", Normal, &[("if-unmodified-since", BEFORE)], 412, &[], Refusal("precondition_failed")),
    get("13.1.4 no date", Normal, &[("if-unmodified-since", "x")], 200, &[], Whole),
    get("13.1.4 ignored beside a tag", Normal, &[("if-match", "{etag}"), ("if-unmodified-since", BEFORE)], 200, &[], Whole),
    get("13.2.2 match before none-match", Normal, &[("if-match", "\"a\""), ("if-none-match", "{etag}")], 412, &[], Refusal("precondition_failed")),
    get("13.2.2 both", Normal, &[("if-match", "{etag}"), ("if-none-match", "{etag}")], 304, &[], Nothing),
    Row { rule: "13.2.1 no condition on a 404", method: "GET", target: "/{id}x", headers: &[("if-none-match", "*")], kind: Normal, status: 404, facts: &[], body: Refusal("no_such_file") },
];

#[tokio::test]
async fn files_are_served_whole() {
    run(PLAIN, &Settings::plain()).await;
}

#[tokio::test]
async fn only_names_of_files_are_found() {
    run(NAMES, &Settings::plain()).await;
}

#[tokio::test]
async fn names_for_downloads_cannot_be_abused() {
    run(DISPOSITIONS, &Settings::plain()).await;
}

#[tokio::test]
async fn other_methods_are_refused() {
    run(METHODS, &Settings::plain()).await;
}

#[tokio::test]
async fn conditions_hold() {
    run(CONDITIONS, &Settings::plain()).await;
}
