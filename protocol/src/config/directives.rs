//! The `#@` directives: variables, conditions, loops over lines, functions over values.
//!
//! Order within one file: `#@set` and `#@if` in one pass, then `#@for`, then (by [`super::ini`]) lines with `#@function`.
//! Nothing here runs a command: `$(cmd)` and `SHELL_EXEC` are refused with a warning, as FastDFS's daemons do.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostics, Place};
use super::ini::{cut, trim};
use super::local_facts::LocalFacts;
use super::value::leading_int;
use crate::address::AddressKind;

/// Lines that loops of one file may make.
const MAX_LOOP_LINES: u64 = 100_000;
/// Items in the list of a condition.
const MAX_CONDITION_ITEMS: usize = 32;
/// Bytes of a variable; without a limit, a variable made of itself twice doubles on every line.
const MAX_VARIABLE_LEN: usize = 1023;

/// Names and values of `#@set`.
pub(super) type Variables = BTreeMap<String, String>;

/// A line of a file, possibly made by a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) number: u32,
}

/// What follows `word` on its line, if the line is that word, a blank and something.
pub(super) fn argument<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = trim(line).strip_prefix(word)?;
    rest.starts_with([' ', '\t']).then(|| trim(rest)).filter(|rest| !rest.is_empty())
}

/// Runs `#@set` and `#@if`, then `#@for`. What cannot be run stays as a line, for the reader to report.
pub(super) fn expand(
    lines: Vec<Line>,
    file: &Arc<Path>,
    variables: &mut Variables,
    facts: &LocalFacts,
    found: &mut Diagnostics,
) -> Vec<Line> {
    let mut pass = Pass { file, variables, facts, found };
    let lines = pass.conditions(lines);
    pass.loops(lines)
}

struct Pass<'a> {
    file: &'a Arc<Path>,
    variables: &'a mut Variables,
    facts: &'a LocalFacts,
    found: &'a mut Diagnostics,
}

impl Pass<'_> {
    fn place(&self, line: &Line) -> Place {
        Place { file: self.file.clone(), line: line.number }
    }

    fn conditions(&mut self, lines: Vec<Line>) -> Vec<Line> {
        let mut rest = VecDeque::from(lines);
        let mut out = Vec::with_capacity(rest.len());
        let mut closable = true;
        while let Some(line) = rest.pop_front() {
            if let Some(definition) = argument(&line.text, "#@set") {
                if !self.set(definition, &line) {
                    out.push(line);
                }
                continue;
            }
            let Some(condition) = argument(&line.text, "#@if").filter(|_| closable) else {
                out.push(line);
                continue;
            };
            let Some(end) = rest.iter().position(|line| trim(&line.text) == "#@endif") else {
                closable = false;
                out.push(line);
                continue;
            };
            let holds = self.holds(condition, &line);
            let mut block: Vec<Line> = rest.drain(..=end).collect();
            block.pop();
            let branch_end =
                block.iter().position(|line| trim(&line.text) == "#@else").unwrap_or(block.len());
            let otherwise = block.split_off(branch_end);
            let taken = if holds { block } else { otherwise.into_iter().skip(1).collect() };
            for line in taken.into_iter().rev() {
                rest.push_front(line);
            }
        }
        out
    }

    fn set(&mut self, definition: &str, line: &Line) -> bool {
        let Some((name, value)) = definition.split_once('=') else { return false };
        let (name, value) = (trim(name), trim(value));
        let place = self.place(line);
        let value = if value.starts_with("$(") && value.ends_with(')') {
            let message =
                format!("#@set {name}: commands are not run; the variable is empty; write the value itself");
            self.found.warn(&place, message);
            String::new()
        } else {
            replace_variables(value, self.variables, &place, self.found)
        };
        self.variables.insert(name.to_owned(), value);
        true
    }

    fn holds(&mut self, condition: &str, line: &Line) -> bool {
        let place = self.place(line);
        let Some((name, items)) = split_condition(condition) else {
            let message = format!("'{condition}' is not '%{{NAME}} in [a, b]'; taken as false");
            self.found.warn(&place, message);
            return false;
        };
        let mut items: Vec<&str> = items.split(',').map(trim).collect();
        if items.len() > MAX_CONDITION_ITEMS {
            let message = format!("{} items; only the first {MAX_CONDITION_ITEMS} are compared", items.len());
            self.found.warn(&place, message);
            items.truncate(MAX_CONDITION_ITEMS);
        }
        match name {
            "LOCAL_IP" => {
                let addresses = &self.facts.addresses;
                items.iter().any(|item| addresses.iter().any(|ip| address_matches(*ip, item)))
            }
            "LOCAL_HOST" => items.contains(&self.facts.hostname.as_str()),
            _ => match self.variables.get(name) {
                Some(value) => items.contains(&value.as_str()),
                None => {
                    let message = format!("variable {name} was not set before this line; taken as false");
                    self.found.warn(&place, message);
                    false
                }
            },
        }
    }

    fn loops(&mut self, lines: Vec<Line>) -> Vec<Line> {
        let mut out = Vec::with_capacity(lines.len());
        let mut rest = lines.into_iter();
        let mut made = 0;
        while let Some(line) = rest.next() {
            let Some(header) = argument(&line.text, "#@for") else {
                out.push(line);
                continue;
            };
            let Some(end) = rest.as_slice().iter().position(|line| trim(&line.text) == "#@endfor") else {
                out.push(line);
                out.extend(rest);
                break;
            };
            let block: Vec<Line> = rest.by_ref().take(end).collect();
            rest.next();
            let Some((name, range)) = parse_loop(header) else {
                let place = self.place(&line);
                let message =
                    format!("'{header}' is not 'i from A to B [step S]' with A <= B and S > 0; not repeated");
                self.found.warn(&place, message);
                out.extend(block);
                continue;
            };
            let rounds = (range.last - range.first) / range.step + 1;
            made += rounds.saturating_mul(u64::try_from(block.len()).unwrap_or(u64::MAX).max(1));
            if made > MAX_LOOP_LINES {
                let place = self.place(&line);
                self.found
                    .error(&place, format!("loops make more than {MAX_LOOP_LINES} lines; shorten them"));
                break;
            }
            let pattern = format!("{{${name}}}");
            for round in 0..rounds {
                let value = (range.first + round * range.step).to_string();
                out.extend(
                    block
                        .iter()
                        .map(|line| Line { text: line.text.replace(&pattern, &value), number: line.number }),
                );
            }
        }
        out
    }
}

struct LoopRange {
    first: u64,
    last: u64,
    step: u64,
}

/// `i from A to B [step S]`.
fn parse_loop(header: &str) -> Option<(&str, LoopRange)> {
    let words: Vec<&str> = header.split_whitespace().collect();
    let (name, first, last, step) = match words[..] {
        [name, "from", first, "to", last] => (name, first, last, "1"),
        [name, "from", first, "to", last, "step", step] => (name, first, last, step),
        _ => return None,
    };
    let number = |word: &str| word.parse::<u32>().ok().map(u64::from);
    let range = LoopRange { first: number(first)?, last: number(last)?, step: number(step)? };
    (range.step > 0 && range.first <= range.last).then_some((name, range))
}

/// `%{NAME} in [ITEMS]`.
fn split_condition(condition: &str) -> Option<(&str, &str)> {
    let (name, rest) = condition.strip_prefix("%{")?.split_once('}')?;
    let (items, _) = trim(trim(rest).strip_prefix("in")?).strip_prefix('[')?.split_once(']')?;
    Some((trim(name), items))
}

/// Whether `item` is the address, or an IPv4 network of /8 to /30 with it inside.
fn address_matches(ip: IpAddr, item: &str) -> bool {
    let Some((network, bits)) = item.split_once('/') else {
        return item.parse() == Ok(ip);
    };
    let (Ok(network), Ok(bits), IpAddr::V4(ip)) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>(), ip)
    else {
        return false;
    };
    (8..=30).contains(&bits) && ip.to_bits() >> (32 - bits) == network.to_bits() >> (32 - bits)
}

/// `text` with every known `%{NAME}` replaced; unknown ones stay, with a warning.
fn replace_variables(text: &str, variables: &Variables, place: &Place, found: &mut Diagnostics) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = rest
        .split_once("%{")
        .and_then(|(before, tail)| tail.split_once('}').map(|(name, after)| (before, name, after)))
    {
        out.push_str(before);
        match variables.get(trim(name)) {
            Some(value) => out.push_str(value),
            None => {
                found.warn(
                    place,
                    format!("variable {} was not set; '%{{{name}}}' is kept as it stands", trim(name)),
                );
                out.push_str(&rest[before.len()..rest.len() - after.len()]);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    if out.len() > MAX_VARIABLE_LEN {
        found
            .warn(place, format!("{} bytes after replacing variables; cut to {MAX_VARIABLE_LEN}", out.len()));
        out.truncate(cut(&out, MAX_VARIABLE_LEN).len());
    }
    out
}

/// Values that `#@function name` makes of the value on the next line.
pub(super) fn call(
    name: &str,
    value: &str,
    variables: &Variables,
    facts: &LocalFacts,
    place: &Place,
    found: &mut Diagnostics,
) -> Vec<String> {
    match name {
        "REPLACE_VARS" => vec![replace_variables(value, variables, place, found)],
        "LOCAL_IP_GET" => local_addresses(value, facts, place, found),
        "SHELL_EXEC" => {
            found.warn(place, "#@function SHELL_EXEC: commands are not run; the value is kept as it stands");
            vec![value.to_owned()]
        }
        _ => {
            found.warn(place, format!("#@function {name} is not known; the value is kept as it stands"));
            vec![value.to_owned()]
        }
    }
}

/// `inner`, `private` or anything else (the other addresses), then `[n]` for one of them; `[-1]` is the last.
fn local_addresses(value: &str, facts: &LocalFacts, place: &Place, found: &mut Diagnostics) -> Vec<String> {
    let (kind, index) = match value.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((kind, index)) => (kind, Some(leading_int(index))),
        None => (value, None),
    };
    let private = kind.eq_ignore_ascii_case("inner") || kind.eq_ignore_ascii_case("private");
    let is_private = |ip: &&IpAddr| AddressKind::of(**ip) != AddressKind::Outer;
    let chosen: Vec<String> =
        facts.addresses.iter().filter(|ip| is_private(ip) == private).map(IpAddr::to_string).collect();
    let one = match index {
        None if !chosen.is_empty() => return chosen,
        None => None,
        Some(-1) => chosen.last(),
        Some(index) => usize::try_from(index).ok().and_then(|index| chosen.get(index)),
    };
    if one.is_none() {
        found.warn(
            place,
            format!("LOCAL_IP_GET {value}: this machine has no such address; the value is empty"),
        );
    }
    vec![one.cloned().unwrap_or_default()]
}

#[cfg(test)]
mod tests;
