//! `fdfs check-config`: every kind of file, clean, doubtful and refused.

use std::path::Path;

use serde_json::Value;

use crate::program::Place;

/// Runs the check in the directory; exit code and standard output.
fn check(place: &Place, arguments: &[&str]) -> (i32, String) {
    let run = place.run("fdfs", &[&["check-config"], arguments].concat());
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    (run.code, run.stdout)
}

#[test]
fn our_own_files_are_clean() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/conf");
    let files = ["tracker.conf", "storage.conf", "client.conf", "storage_ids.conf", "mod_fastdfs.conf"];
    let paths: Vec<String> = files.iter().map(|name| conf.join(name).display().to_string()).collect();
    let mut arguments = vec!["--strict"];
    arguments.extend(paths.iter().map(String::as_str));
    let (code, text) = check(&Place::new(), &arguments);
    assert_eq!(code, 0, "{text}");
    for name in files {
        assert!(text.contains(&format!("{name}: accepted ({name} by its name)")), "{text}");
    }
}

/// A site as FastDFS's samples make it: accepted, and each key that does nothing here says what it did.
const STORAGE: &str = "disabled = false
group_name = group1
bind_addr =
port = 23000
base_path = /opt/fastdfs
tracker_server = 192.168.209.121:22122
thread_stack_size = 512KB
buff_size = 256KB
work_threads = 4
disk_rw_separated = true
sync_wait_msec = 50
sync_interval = 0
fsync_after_written_bytes = 0
sync_binlog_buff_interval = 1
use_connection_pool = true
compress_binlog = true
if_alias_prefix =
key_namespace = FastDFS
keep_alive = 0
rotate_error_log = true
#include http.conf
";

const HTTP: &str = "http.default_content_type = application/octet-stream
http.mime_types_filename = mime.types
http.anti_steal.check_token = false
http.need_find_content_type = true
";

#[test]
fn a_site_s_files_are_explained() {
    let place = Place::new();
    place.write("storage.conf", STORAGE);
    place.write("http.conf", HTTP);
    place.write("mime.types", "text/html html\n");
    let (code, text) = check(&place, &["storage.conf", "http.conf", "mime.types"]);
    assert_eq!(code, 0, "{text}");
    for (line, key) in [
        (7, "thread_stack_size"),
        (8, "buff_size"),
        (9, "work_threads"),
        (10, "disk_rw_separated"),
        (11, "sync_wait_msec"),
        (12, "sync_interval"),
        (13, "fsync_after_written_bytes"),
        (14, "sync_binlog_buff_interval"),
        (15, "use_connection_pool"),
        (16, "compress_binlog"),
        (17, "if_alias_prefix"),
        (18, "key_namespace"),
        (19, "keep_alive"),
    ] {
        let said = format!("storage.conf:{line}: info: {key} has no effect: FastDFS");
        assert!(text.contains(&said), "{said} in {text}");
    }
    assert!(text.contains("storage.conf:20: warning: rotate_error_log is an old key"), "{text}");
    // Once for the file itself, once for the one that includes it.
    assert_eq!(
        text.matches("http.conf:4: info: http.need_find_content_type has no effect").count(),
        2,
        "{text}"
    );
    assert!(text.contains("mime.types: accepted (mime.types by its name): nothing to say"), "{text}");

    let (code, quiet) = check(&place, &["--quiet", "--strict", "storage.conf"]);
    assert_eq!(code, 1, "{quiet}");
    assert_eq!(quiet.lines().filter(|line| !line.contains("warning")).count(), 0, "{quiet}");
    assert!(quiet.ends_with("1 warning, 15 notes\n"), "{quiet}");
}

#[test]
fn what_is_refused_is_told_by_line() {
    let place = Place::new();
    let refused = |name: &str, text: &str, expected: &str| {
        place.write(name, text);
        let (code, said) = check(&place, &[name]);
        assert_eq!(code, 2, "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
    };
    refused("tracker.conf", "base_path = /tmp\n\nstore_lookup = 7\n", "tracker.conf:3: error: store_lookup");
    refused(
        "tracker.conf",
        "base_path = /tmp\nuse_storage_id = true\nstorage_ids_filename = none.conf\n",
        "none.conf",
    );
    refused("storage.conf", "group_name = g\n", "storage.conf: error: base_path");
    refused("storage.conf", "disabled = true\n", "disabled = true");
    refused("client.conf", "connect_timeout = 1\n", "client.conf: error: tracker_server");
    refused("storage_ids.conf", "100001 group1\n", "storage_ids.conf:1: error");
    refused(
        "mod_fastdfs.conf",
        "group_count = 2\nbase_path = /tmp\n",
        "mod_fastdfs.conf:1: error: group_count",
    );
    refused("http.conf", "http.mime_types_filename = none.types\n", "http.mime_types_filename: cannot");
    refused("storage.conf", "#include nothing.conf\n", "storage.conf:1: error: cannot include");
    refused("what.conf", "nobody = knows\n", "say it by --as");
    let (code, said) = check(&place, &["not-there.conf"]);
    assert_eq!((code, said.contains("cannot be read")), (2, true), "{said}");
}

#[test]
fn the_kind_is_told_by_content_or_by_the_caller() {
    let place = Place::new();
    place.write("a", "base_path = /tmp\nstore_lookup = 0\n");
    place.write("ids", "100001 group1 10.0.0.1\n");
    let (code, said) = check(&place, &["a", "ids"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("a: accepted (tracker.conf by its content)"), "{said}");
    assert!(said.contains("ids: accepted (storage_ids.conf by its content): nothing to say"), "{said}");
    let (code, said) = check(&place, &["--as", "storage.conf", "a"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("a:2: warning: store_lookup belongs in tracker.conf"), "{said}");
    assert!(said.contains("a: refused (storage.conf as told)"), "{said}");
}

#[test]
fn json_has_the_same() {
    let place = Place::new();
    place.write("tracker.conf", "base_path = /tmp\nstore_lookup = 7\nwork_threads = 4\n");
    let (code, text) = check(&place, &["--json", "tracker.conf", "none"]);
    assert_eq!(code, 2);
    let json: Value = serde_json::from_str(&text).unwrap();
    let first = &json[0];
    assert_eq!((&first["kind"], &first["verdict"]), (&"tracker.conf".into(), &"refused".into()));
    let findings = first["findings"].as_array().unwrap();
    let rows: Vec<_> = findings.iter().map(|found| (&found["line"], &found["severity"])).collect();
    assert_eq!(rows, [(&2.into(), &"error".into()), (&3.into(), &"info".into())]);
    assert_eq!((&json[1]["kind"], &json[1]["findings"][0]["line"]), (&Value::Null, &Value::Null));
}

/// The daemon's words at its start are the check's.
#[test]
fn the_daemons_say_the_same() {
    let place = Place::new();
    place.write("tracker.conf", "base_path = /tmp\nstore_lookup = 7\nstore_path = 9\n");
    let (_, said) = check(&place, &["tracker.conf"]);
    let told = place.run("fdfs", &["tracker", "tracker.conf"]).stderr;
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors.iter().all(|line| told.contains(line)), "{told} lacks {errors:?}");
}
