//! What openapi.yaml must be in itself: whole, with examples and errors, and with every code that we answer.
//!
//! That routes and document agree is tested where the routes are: in `node` and in `tracker`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::body::Body;
use gateway::Settings;
use gateway::contract::{JSON, Operation, Server, operations};
use http::Request;
use serde_json::Value;

use crate::ask::{ask, over};
use crate::fake::Fake;

fn document() -> Value {
    serde_json::from_str(JSON).unwrap()
}

/// What a reference names; other values stand for themselves.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

/// Every value of the document with the path to it.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                walk(value, &format!("{path}/{key}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, &format!("{path}/{index}"), visit);
            }
        }
        _ => {}
    }
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "openapi.yaml:\n{}", faults.join("\n"));
}

#[test]
fn references_lead_somewhere_and_all_components_are_used() {
    let document = document();
    let (mut faults, mut used) = (Vec::new(), BTreeSet::new());
    walk(&document, "#", &mut |path, value| {
        if let Some(to) = value["$ref"].as_str() {
            used.insert(to.to_owned());
            if to.strip_prefix('#').and_then(|to| document.pointer(to)).is_none() {
                faults.push(format!("{path} refers to {to}, which is not there"));
            }
        }
    });
    for (kind, components) in document["components"].as_object().unwrap() {
        // Security schemes are referred to by name.
        if kind == "securitySchemes" {
            continue;
        }
        for name in components.as_object().unwrap().keys() {
            let path = format!("#/components/{kind}/{name}");
            if !used.contains(&path) {
                faults.push(format!("{path} is used nowhere"));
            }
        }
    }
    assert_none(&faults);
}

/// In `{description: One thing, and another}` the comma ends the description.
#[test]
fn no_comma_cuts_a_sentence() {
    let document = document();
    let mut faults = Vec::new();
    walk(&document, "#", &mut |path, value| {
        let keys = value.as_object().into_iter().flatten();
        faults.extend(
            keys.filter(|(key, _)| key.contains(' ')).map(|(key, _)| format!("{path}: '{key}' is a key")),
        );
    });
    assert_none(&faults);
}

/// All parameters of an operation.
fn parameters<'a>(document: &'a Value, operation: &Operation<'a>) -> Vec<&'a Value> {
    let lists = [&operation.item["parameters"], &operation.value["parameters"]];
    lists.into_iter().filter_map(Value::as_array).flatten().map(|one| resolved(document, one)).collect()
}

#[test]
fn operations_have_names_places_and_words() {
    let document = document();
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    let (mut faults, mut ids) = (Vec::new(), BTreeSet::new());
    for operation in operations(&document) {
        let name = format!("{} {}", operation.method, operation.path);
        let mut must = |good: bool, what: &str| {
            if !good {
                faults.push(format!("{name}: {what}"));
            }
        };
        let id = operation.value["operationId"].as_str().unwrap_or_default();
        must(ids.insert(id), "its operationId is another one's, too, or missing");
        must(
            id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric()),
            "its operationId is not camelCase",
        );
        let of_operation = operation.value["tags"].as_array();
        let tagged = of_operation
            .is_some_and(|of| of.len() == 1 && of[0].as_str().is_some_and(|tag| tags.contains(&tag)));
        must(tagged, "it has one of the document's tags");
        let summary = operation.value["summary"].as_str().unwrap_or_default();
        must(
            summary.starts_with(|c: char| c.is_ascii_uppercase()) && !summary.ends_with('.'),
            "its summary is a line that begins with a capital and has no full stop",
        );
        let somewhere = [Server::Node, Server::Tracker].iter().any(|at| operation.is_on(&document, *at));
        must(somewhere, "its servers are neither node nor tracker");
        let declared: BTreeSet<&str> = parameters(&document, &operation)
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let in_path: BTreeSet<&str> =
            operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        must(declared == in_path, "its path parameters are those that it declares");
    }
    assert_none(&faults);
}

/// An example of a parameter, a body or an answer: its own or its schema's.
fn has_example(document: &Value, value: &Value) -> bool {
    let of = |value: &Value| {
        ["example", "examples", "const", "enum", "default"].iter().any(|key| !value[key].is_null())
    };
    of(value) || of(resolved(document, &value["schema"]))
}

#[test]
fn operations_have_examples() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = format!("{} {}", operation.method, operation.path);
        for parameter in parameters(&document, &operation) {
            let required = parameter["required"] == true;
            if required && !has_example(&document, parameter) {
                faults.push(format!("{name}: its parameter {} has no example", parameter["name"]));
            }
        }
        let mut bodies = vec![("its request".to_owned(), &operation.value["requestBody"])];
        let responses = operation.value["responses"].as_object().into_iter().flatten();
        bodies.extend(
            responses.filter(|(status, _)| status.starts_with('2')).map(|(status, at)| (status.clone(), at)),
        );
        for (what, body) in bodies {
            for (kind, media) in resolved(&document, body)["content"].as_object().into_iter().flatten() {
                if kind.contains("json") && !has_example(&document, media) {
                    faults.push(format!("{name}: {what} as {kind} has no example"));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn operations_have_errors_which_are_problems() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = format!("{} {}", operation.method, operation.path);
        let mut errors = 0;
        for (status, answer) in operation.value["responses"].as_object().into_iter().flatten() {
            if status.starts_with(['2', '3']) {
                continue;
            }
            errors += 1;
            let content = &resolved(&document, answer)["content"];
            // Nothing may stand where a problem stands.
            let is_problem = !content["application/problem+json"].is_null();
            if !is_problem && operation.method != http::Method::HEAD {
                faults.push(format!("{name}: its {status} is no problem document"));
            }
        }
        if errors == 0 {
            faults.push(format!("{name}: it cannot fail?"));
        }
    }
    assert_none(&faults);
}

/// Files of the crates that answer, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut left: Vec<PathBuf> =
        ["gateway", "node", "tracker"].map(|name| root.join(name).join("src")).into();
    let mut sources = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            sources.push((path, text));
        }
    }
    sources
}

/// The quoted word that text begins with, white space left out.
fn word(text: &str) -> Option<&str> {
    let word = text.trim_start().strip_prefix('"')?.split('"').next()?;
    is_code(word).then_some(word)
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Codes that a source makes problems with: `Problem::new(STATUS, "code"`, `(StatusCode::X, "code"`, `bad("code"` and
/// `code: "code"`.
fn codes(source: &str) -> BTreeSet<&str> {
    let after_comma = |text: &'_ str| text.find(',').map_or(text.len(), |at| at + 1);
    let mut codes = BTreeSet::new();
    for (start, _) in source.match_indices("Problem::new(").chain(source.match_indices("StatusCode::")) {
        let rest = &source[start..];
        codes.extend(word(&rest[after_comma(rest)..]));
    }
    for start in ["bad(", "code: ", "refuse("] {
        codes.extend(source.match_indices(start).filter_map(|(at, _)| word(&source[at + start.len()..])));
    }
    codes
}

#[test]
fn every_code_is_explained() {
    let document = document();
    let table = document["x-problem-codes"].as_object().unwrap();
    let sources = sources();
    let mut faults = Vec::new();
    let mut answered: BTreeMap<&str, &Path> = BTreeMap::new();
    for (path, source) in &sources {
        answered.extend(codes(source).into_iter().map(|code| (code, path.as_path())));
    }
    assert!(answered.len() > 40, "few codes are found: {answered:?}");
    for (code, path) in answered {
        if !table.contains_key(code) {
            faults.push(format!("x-problem-codes lacks {code}, which {} answers", path.display()));
        }
    }
    let mut before = 0;
    for (code, about) in table {
        let quoted = format!("\"{code}\"");
        if !sources.iter().any(|(_, source)| source.contains(&quoted)) {
            faults.push(format!("nothing answers {code}"));
        }
        let statuses = about["status"].as_array();
        let good = |status: &Value| status.as_u64().is_some_and(|status| (400..600).contains(&status));
        if !statuses.is_some_and(|all| !all.is_empty() && all.iter().all(good)) {
            faults.push(format!("{code}: status is a list of numbers"));
        }
        if !about["meaning"].as_str().is_some_and(|text| text.ends_with('.')) {
            faults.push(format!("{code}: meaning is a sentence"));
        }
        // The map of the test is sorted, the text need not be.
        let place = JSON.find(&format!("{quoted}:{{\"status\"")).unwrap_or_default();
        if place < before {
            faults.push(format!("{code}: the table is sorted by code, status comes first"));
        }
        before = place;
    }
    assert_none(&faults);
}

#[tokio::test]
async fn the_document_is_served_and_asked_for_again_by_its_tag() {
    let gateway = over(&Fake::new(), Settings::plain());
    let get =
        |path: &str| Request::builder().uri(path).header("host", "127.0.0.1").body(Body::empty()).unwrap();
    for (path, kind) in [
        ("/openapi.yaml", "application/yaml"),
        ("/openapi.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
    ] {
        let answer = ask(&gateway, get(path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let mut again = get(path);
        again.headers_mut().insert("if-none-match", answer.header("etag").parse().unwrap());
        assert_eq!(ask(&gateway, again).await.status.as_u16(), 304, "{path}");
        let mut other = get(path);
        other.headers_mut().insert("if-none-match", "\"other\"".parse().unwrap());
        assert_eq!(ask(&gateway, other).await.body, answer.body, "{path}");
    }
}

/// Its policy names the hashes of its own script and style, and no host.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let gateway = over(&Fake::new(), Settings::plain());
    let request = Request::builder().uri("/docs").header("host", "127.0.0.1").body(Body::empty()).unwrap();
    let answer = ask(&gateway, request).await;
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(page.contains("data-server=\"node\""));
    for outside in ["http://", "https://", "@script@", "@style@", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}
