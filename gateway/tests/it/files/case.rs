//! The table of cases, `cases.txt`: one paragraph a case.
//!
//! ```text
//! [RFC 9110 14.1.2, D5] the first byte          rules, and what the case is about
//! = http.max_ranges: 1                          settings other than the defaults, as in storage.conf
//! GET /{id} of normal.txt here                  request line, kind of file, its state (left out: here, and elsewhere)
//! > range: bytes=0-0                            headers of the request
//! < 206 0-0                                     status and body
//! < content-range: bytes 0-0/{len}              headers of the answer; none with this name if empty
//! ```
//!
//! Bodies are `whole`, ranges (`0-9`, or `0-9,20-29` for a multipart one), `nothing`, `any`, `! CODE` for a problem
//! document, `page NAME` for a file of `site/`, and `flv 5-9` for a range behind an FLV header. HEAD has none.

use super::sample::{Kind, State};

/// What the body has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Is {
    Whole,
    /// Parts of the file, first and last byte; more than one are a `multipart/byteranges`.
    Parts(Vec<(usize, usize)>),
    Nothing,
    Any,
    Refusal(String),
    Page(String),
    Flv(usize, usize),
}

/// One request and its answer. `{id}`, `{name}`, `{etag}` and `{len}` stand for those of the file, `{site}` for the
/// directory of pages and tables.
#[derive(Debug)]
pub struct Case {
    pub rules: Vec<String>,
    pub about: String,
    pub settings: String,
    pub method: String,
    pub target: String,
    pub kind: Kind,
    pub states: Vec<State>,
    pub headers: Vec<(String, String)>,
    pub status: u16,
    pub body: Is,
    /// Headers of the answer; an empty value means that there is none.
    pub facts: Vec<(String, String)>,
}

/// All cases of the table.
pub fn cases() -> Vec<Case> {
    let text = include_str!("cases.txt");
    let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let paragraphs = plain.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty());
    paragraphs
        .map(|lines| parse(lines).unwrap_or_else(|| panic!("not a case: {}", lines.join("\n"))))
        .collect()
}

fn parse(lines: &[&str]) -> Option<Case> {
    let mut lines = lines.iter().peekable();
    let (rules, about) = lines.next()?.strip_prefix('[')?.split_once("] ")?;
    let mut settings = String::new();
    while let Some(line) = lines.next_if(|line| line.starts_with("= ")) {
        let (key, value) = line.strip_prefix("= ")?.split_once(": ")?;
        settings += &format!("{key} = {value}\n");
    }
    let (request, file) = lines.next()?.rsplit_once(" of ")?;
    let (method, target) = request.split_once(' ')?;
    let (kind, state) = file.split_once(' ').unwrap_or((file, ""));
    let headers = headers_of(&mut lines, "> ")?;
    let (status, body) = lines.next()?.strip_prefix("< ")?.split_at_checked(3)?;
    let facts = headers_of(&mut lines, "< ")?;
    if lines.next().is_some() {
        return None;
    }
    Some(Case {
        rules: rules.split(", ").map(str::to_owned).collect(),
        about: about.to_owned(),
        settings,
        method: method.to_owned(),
        target: target.to_owned(),
        kind: Kind::parse(kind)?,
        states: State::parse(state)?,
        headers,
        status: status.parse().ok()?,
        body: parse_body(body.trim())?,
        facts,
    })
}

type Lines<'a, 'b> = std::iter::Peekable<std::slice::Iter<'a, &'b str>>;

fn headers_of(lines: &mut Lines<'_, '_>, mark: &str) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with(mark)) {
        let (name, value) = line.strip_prefix(mark)?.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(headers)
}

fn parse_body(text: &str) -> Option<Is> {
    Some(match text.split_once(' ') {
        Some(("!", code)) => Is::Refusal(code.to_owned()),
        Some(("page", name)) => Is::Page(name.to_owned()),
        Some(("flv", part)) => {
            let (first, last) = parse_part(part)?;
            Is::Flv(first, last)
        }
        Some(_) => return None,
        None => match text {
            "whole" => Is::Whole,
            "nothing" | "" => Is::Nothing,
            "any" => Is::Any,
            parts => Is::Parts(parts.split(',').map(parse_part).collect::<Option<_>>()?),
        },
    })
}

fn parse_part(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
