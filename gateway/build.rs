//! Writes openapi.yaml as JSON, which browsers and tests read, so that no program of ours reads YAML while it runs.

#![allow(clippy::print_stdout, reason = "build scripts speak to Cargo by it")]

use std::error::Error;
use std::path::Path;

use saphyr::{LoadableYamlNode, Scalar, Yaml};

const DOCUMENT: &str = "../openapi.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed=build.rs");
    let text = std::fs::read_to_string(DOCUMENT)?;
    let documents = Yaml::load_from_str(&text).map_err(|error| format!("openapi.yaml: {error}"))?;
    let [document] = &documents[..] else { return Err("openapi.yaml holds one document".into()) };
    let mut json = String::new();
    write(document, &mut json).map_err(|error| format!("openapi.yaml: {error}"))?;
    let path = Path::new(&std::env::var("OUT_DIR")?).join("openapi.json");
    std::fs::write(path, json)?;
    Ok(())
}

/// Appends a node as JSON, keys in the order of the document.
fn write(node: &Yaml<'_>, json: &mut String) -> Result<(), String> {
    match node {
        Yaml::Value(Scalar::Null) => json.push_str("null"),
        Yaml::Value(Scalar::Boolean(value)) => json.push_str(if *value { "true" } else { "false" }),
        Yaml::Value(Scalar::Integer(value)) => json.push_str(&value.to_string()),
        Yaml::Value(Scalar::FloatingPoint(value)) => json.push_str(&value.to_string()),
        Yaml::Value(Scalar::String(value)) => quote(value, json),
        Yaml::Sequence(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(item, json)?;
            }
            json.push(']');
        }
        Yaml::Mapping(entries) => {
            json.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                let key = key.as_str().ok_or_else(|| format!("{key:?} is a key and no text: quote it"))?;
                quote(key, json);
                json.push(':');
                write(value, json).map_err(|error| format!("{key}: {error}"))?;
            }
            json.push('}');
        }
        other => return Err(format!("{other:?} is nothing that JSON has")),
    }
    Ok(())
}

/// Appends a string (RFC 8259, 7).
fn quote(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}
