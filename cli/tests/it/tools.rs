//! Tools by their FastDFS names: usage, streams and exit codes that need no storage.

use std::net::TcpListener;

use crate::program::{Place, fresh_address};

/// Runs a tool; `expected` is exit code, beginning of stdout, beginning of stderr.
#[track_caller]
fn check(place: &Place, name: &str, arguments: &[&str], expected: (i32, &str, &str)) {
    let run = place.run(name, arguments);
    let starts =
        |text: &str, head: &str| if head.is_empty() { text.is_empty() } else { text.starts_with(head) };
    assert!(
        run.code == expected.0 && starts(&run.stdout, expected.1) && starts(&run.stderr, expected.2),
        "{name} {arguments:?}: {run:?}, not {expected:?}"
    );
}

#[test]
fn too_few_arguments_give_usage() {
    let place = Place::new();
    for name in [
        "fdfs_upload_file",
        "fdfs_upload_appender",
        "fdfs_append_file",
        "fdfs_download_file",
        "fdfs_delete_file",
        "fdfs_crc32",
    ] {
        check(&place, name, &[], (1, "Usage: ", ""));
    }
    check(&place, "fdfs_upload_file", &["client.conf"], (1, "Usage: ", ""));
    check(&place, "fdfs_append_file", &["client.conf", "id"], (1, "Usage: ", ""));
    check(&place, "fdfs_file_info", &[], (1, "", "Usage: "));
    check(&place, "fdfs_file_info", &["-s"], (1, "", "Usage: "));
    check(&place, "fdfs_regenerate_filename", &[], (1, "", "Usage: "));
    check(&place, "fdfs_monitor", &["-h"], (0, "\nUsage:\n", ""));
    check(&place, "fdfs_monitor", &["client.conf", "-h"], (1, "\nUsage:\n", ""));
    check(&place, "fdfs_test", &[], (1, "fdfs ", ""));
    check(&place, "fdfs_appender_test", &["client.conf"], (1, "fdfs ", ""));
}

#[test]
fn crc32_prints_hex_without_zeros_in_front() {
    let place = Place::new();
    let hello = place.write("hello", "hello world");
    let empty = place.write("empty", "");
    check(&place, "fdfs_crc32", &[&hello], (0, "d4a1185\n", ""));
    check(&place, "fdfs_crc32", &[&empty], (0, "0\n", ""));
    check(&place, "fdfs_crc32", &["/no/such/file"], (2, "open file /no/such/file fail, errno: 2, ", ""));
}

#[test]
fn a_missing_configuration_exits_with_its_errno() {
    let place = Place::new();
    for name in ["fdfs_upload_file", "fdfs_download_file", "fdfs_delete_file", "fdfs_monitor"] {
        check(&place, name, &["no-such.conf", "x"], (2, "", "["));
    }
    check(&place, "fdfs_file_info", &["no-such.conf", "x"], (2, "", "["));
}

#[test]
fn an_unreachable_tracker_fails_each_tool_on_its_own_stream() {
    let place = Place::new();
    // Nobody listens there.
    let conf = place.write("client.conf", &format!("tracker_server = {}:22122\n", fresh_address()));
    let file = place.write("file.txt", "hello");
    let id = "group1/M00/00/02/wAACAmsDYWyEADTFLAAAABTYQpoY219.txt";
    let run = place.run("fdfs_upload_file", &[&conf, &file]);
    assert_eq!((run.code, run.stdout.as_str()), (111, ""));
    assert!(
        run.stderr.contains("tracker_query_storage fail, error no: 111, error info: Connection refused\n")
    );
    for (name, arguments) in [
        ("fdfs_delete_file", vec![conf.as_str(), id]),
        ("fdfs_download_file", vec![conf.as_str(), id]),
        ("fdfs_append_file", vec![conf.as_str(), id, file.as_str()]),
    ] {
        let run = place.run(name, &arguments);
        let what = name.trim_start_matches("fdfs_").replace('_', " ");
        let line = format!("{what} fail, error no: 111, error info: Connection refused\n");
        assert_eq!((run.code, run.stdout), (111, line), "{name}");
    }
}

#[test]
fn a_normal_file_id_is_described_without_a_server() {
    let place = Place::new();
    let conf = place.write("client.conf", &format!("tracker_server = {}:22122\n", fresh_address()));
    let id = "group1/M00/00/02/wAACAmsDYWyADTFLAAAABTYQpoY219.txt";
    let run = place.run("fdfs_file_info", &[&conf, id]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = run.stdout.split('\n').collect();
    assert_eq!(
        lines[..5],
        [
            "GET FROM SERVER: false",
            "",
            "file type: normal",
            "source storage id: 0",
            "source ip address: 192.0.2.2"
        ]
    );
    assert_eq!(lines[6..], ["file size: 5", "file crc32: 907060870 (0x3610a686)", "", ""]);
    let bad = place.run("fdfs_file_info", &[&conf, "nonsense"]);
    assert_eq!(bad.code, 22);
    assert_eq!(bad.stderr, "query file info fail, error no: 22, error info: Invalid argument\n");
}

#[test]
fn a_server_that_is_none_ends_the_tool_with_an_error() {
    let place = Place::new();
    let listener = TcpListener::bind((fresh_address(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let conf = place.write("client.conf", &format!("tracker_server = {address}\n"));
    let answering = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH\r\n").unwrap();
    });
    let run = place.run("fdfs_monitor", &[&conf]);
    assert_ne!(run.code, 0, "{run:?}");
    answering.join().unwrap();
}

#[test]
fn bench_says_what_is_missing() {
    let place = Place::new();
    let run = place.run("fdfs", &["bench", "upload"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stderr, "fdfs: give the server to load: --native HOST:PORT or --http URL\n");
    let target = fresh_address().to_string();
    let run = place.run("fdfs", &["bench", "query", "--native", &target, "--seconds", "0.1"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}
