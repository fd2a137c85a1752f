//! URLs that open files for a time: made by `fdfs sign-url` and by the shell lines of gateway/README.md, opened at a node.

use std::process::{Command, Output};

use reqwest::StatusCode;

use crate::cluster::Cluster;
use crate::content::content;
use crate::one_store::{get, upload};
use crate::process::fdfs;
use crate::say::skipped;

const README: &str = include_str!("../../gateway/README.md");
const SECRET: &str = "correct horse battery staple";
const NEXT: &str = "its successor in office";

/// What a command prints, without the line's end.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text").trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_urls_open_files_until_they_end() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let keys = scratch.path().join("url.keys");
    std::fs::write(&keys, format!("next {NEXT}\n2026 {SECRET}\n")).expect("writable");
    let keys_line = format!("http.signed_url.keys = {}", keys.display());
    let cluster = Cluster::start_with(|conf| conf, |conf| conf.add(&keys_line)).await;
    let body = content(300_000, 3);
    let stored = upload(&cluster.node.url("/v1/files"), "a.bin", body.clone()).await;
    let base = cluster.node.url("");

    let sign = |more: &[&str]| {
        let mut command = fdfs();
        command.arg("sign-url").arg("--keys").arg(&keys).args(["--base", &base]).args(more);
        said(&command.arg(&stored.file_id).output().expect("fdfs starts"))
    };
    for arguments in [&[][..], &["--key", "2026"], &["--filename", "a & b.bin"]] {
        assert_eq!(get(&sign(arguments)).await, (StatusCode::OK, body.clone()), "{arguments:?}");
    }
    for url in [sign(&["--until", "1700000000"]), cluster.node.url(&format!("/{}", stored.file_id))] {
        assert_eq!(get(&url).await.0, StatusCode::FORBIDDEN, "{url}");
    }

    match by_shell(&stored.file_id, &base) {
        Some(url) => assert_eq!(get(&url).await, (StatusCode::OK, body), "{url}"),
        None => {
            skipped("signed_urls_open_files_until_they_end", "no openssl or basenc here for the shell lines")
        }
    }
}

/// The URL that the lines in the README make.
fn by_shell(id: &str, base: &str) -> Option<String> {
    let has = |tool| Command::new(tool).arg("--version").output().is_ok();
    if !has("openssl") || !has("basenc") {
        return None;
    }
    let lines =
        README.split("```sh\n").find(|block| block.contains("openssl dgst")).expect("the lines are there");
    let lines = lines.split("```").next().expect("their end");
    let (_, sample) = lines.split_once("id=").expect("an ID");
    let sample = sample.split(' ').next().expect("its end");
    let script = lines.replace(sample, id).replace("https://img.example.com", base);
    Some(said(
        &Command::new("bash").args(["-c", &script]).env("secret", SECRET).output().expect("bash starts"),
    ))
}
