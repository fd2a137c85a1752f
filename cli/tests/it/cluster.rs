//! The tools at work on `fdfs dev`, under FastDFS's names and their own, and the load generator.

use std::net::Ipv4Addr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Killed, Place, Run, fresh_address, text_of, until};

/// A running `fdfs dev`.
struct Dev {
    place: Place,
    address: Ipv4Addr,
    conf: String,
    process: Killed,
}

impl Dev {
    fn start() -> Self {
        let (place, address) = (Place::new(), fresh_address());
        let mut command = place.command("fdfs", &["dev", "--bind", &address.to_string()]);
        let out = place.path("dev.out");
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(Stdio::inherit());
        let process = Killed(command.spawn().unwrap());
        until("fdfs dev", || text_of(&out).contains("Ctrl-C stops."));
        let conf = place.write("client.conf", &format!("tracker_server = {address}:22122\n"));
        Self { place, address, conf, process }
    }

    /// A FastDFS tool; the configuration is its first argument.
    fn tool(&self, name: &str, arguments: &[&str]) -> Run {
        let mut all = vec![self.conf.as_str()];
        all.extend(arguments);
        self.place.run(name, &all)
    }

    /// A tool that must succeed; gives what it printed.
    fn done(&self, name: &str, arguments: &[&str]) -> String {
        let run = self.tool(name, arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{name} {arguments:?}: {}", run.stdout);
        run.stdout
    }

    /// A command of `fdfs` that asks this cluster.
    fn fdfs(&self, arguments: &[&str]) -> Run {
        let mut all = arguments.to_vec();
        all.extend(["--config", &self.conf]);
        self.place.run("fdfs", &all)
    }
}

#[test]
fn fastdfs_tools_do_their_work() {
    let dev = Dev::start();
    let file = dev.place.write("hello.tar.gz", "hello");
    let id = dev.done("fdfs_upload_file", &[&file]).trim_end().to_owned();
    assert!(id.starts_with("group1/M00/") && id.ends_with(".tar.gz"), "{id}");
    let info = dev.done("fdfs_file_info", &[&id]);
    assert!(info.contains("file size: 5\nfile crc32: 907060870 (0x3610a686)\n\n"), "{info}");

    let copy = dev.place.path("copy");
    let copy_name = copy.to_str().unwrap();
    assert_eq!(dev.done("fdfs_download_file", &[&id, copy_name]), "");
    assert_eq!(text_of(&copy), "hello");
    assert_eq!(dev.done("fdfs_download_file", &[&id, copy_name, "1", "3"]), "");
    assert_eq!(text_of(&copy), "ell");

    let appender = dev.done("fdfs_upload_appender", &[&file]).trim_end().to_owned();
    assert_eq!(dev.done("fdfs_append_file", &[&appender, &file]), "");
    let info = dev.done("fdfs_file_info", &[&appender]);
    assert!(info.starts_with("GET FROM SERVER: true\n\nfile type: appender\n"), "{info}");
    assert!(info.contains("file size: 10\n"), "{info}");
    let normal = dev.done("fdfs_regenerate_filename", &[&appender]).trim_end().to_owned();
    dev.done("fdfs_download_file", &[&normal, copy_name]);
    assert_eq!(text_of(&copy), "hellohello");

    let monitor = dev.done("fdfs_monitor", &[]);
    let host = format!("\t\thost = {}:23000  ACTIVE\n", dev.address);
    assert!(monitor.contains(&host), "{monitor}");

    assert_eq!(dev.done("fdfs_delete_file", &[&id]), "");
    let again = dev.tool("fdfs_delete_file", &[&id]);
    let missing = "delete file fail, error no: 2, error info: No such file or directory\n";
    assert_eq!((again.code, again.stdout.as_str()), (2, missing));
    std::fs::remove_file(&copy).unwrap();
    assert_eq!(dev.tool("fdfs_download_file", &[&id, copy_name]).code, 2);
    assert!(!copy.exists(), "a refused download makes no file");
}

#[test]
fn fastdfs_test_programs_run_through() {
    let dev = Dev::start();
    let file = dev.place.write("hello.txt", "hello");
    for (name, kinds) in [("fdfs_test", 2), ("fdfs_test1", 0)] {
        for source in ["FILE", "BUFF", "CALLBACK"] {
            let text = dev.done(name, &["upload", &file, source]);
            assert_eq!(
                text.matches("file size=5\nfile crc32=907060870\nexample file url: http://").count(),
                2,
                "{text}"
            );
            assert_eq!(text.matches("remote_filename=").count(), kinds, "{text}");
        }
    }
    for name in ["fdfs_appender_test", "fdfs_appender_test1"] {
        let text = dev.done(name, &[&file]);
        assert!(
            text.contains("append file successfully.") && text.contains("modify file successfully."),
            "{text}"
        );
    }
    let id = dev.done("fdfs_upload_file", &[&file]).trim_end().to_owned();
    let storage = format!("storage={}:23000\n", dev.address);
    let steps: [(&[&str], String); 5] = [
        (&["setmeta", &id, "O", "b=2,a=1"], format!("{storage}set meta data success\n")),
        (&["getmeta", &id], format!("{storage}get meta data success, meta count=2\na=1\nb=2\n")),
        (&["query_servers", &id], format!("server list (1):\n\t{}:23000\n\n", dev.address)),
        (
            &["download", &id, "got"],
            format!("{storage}download file success, file size=5, file save to got\n"),
        ),
        (&["delete", &id], format!("{storage}delete file success\n")),
    ];
    for (arguments, expected) in steps {
        let text = dev.done("fdfs_test1", arguments);
        assert!(text.ends_with(&expected), "{arguments:?}: {text}");
    }
    assert_eq!(dev.tool("fdfs_test1", &["getmeta", &id]).code, 2);
}

#[test]
fn own_commands_do_their_work() {
    let dev = Dev::start();
    let file = dev.place.write("hello.txt", "hello");
    let uploaded = dev.fdfs(&["upload", &file, "--json"]);
    let uploaded: Value = serde_json::from_str(&uploaded.stdout).unwrap();
    assert_eq!(uploaded["size"], 5);
    let id = uploaded["file_id"].as_str().unwrap();
    let url = format!("http://{}:8888/{id}", dev.address);

    assert_eq!(dev.fdfs(&["download", &url, "--output", "-"]).stdout, "hello");
    assert_eq!(dev.fdfs(&["download", id, "--output", "part", "--offset", "1", "--length", "2"]).code, 0);
    assert_eq!(text_of(&dev.place.path("part")), "el");
    let info: Value = serde_json::from_str(&dev.fdfs(&["info", id, "--json"]).stdout).unwrap();
    assert_eq!((&info["crc32"], &info["from_server"]), (&"3610a686".into(), &true.into()));
    assert_eq!(dev.fdfs(&["meta", id, "b=2", "a=1"]).code, 0);
    assert_eq!(dev.fdfs(&["meta", id]).stdout, "a=1\nb=2\n");

    let appender = dev.fdfs(&["upload", "--appender", "--ext", "log", &file]).stdout;
    assert_eq!(dev.fdfs(&["append", appender.trim_end(), &file]).code, 0);
    assert_eq!(dev.fdfs(&["download", appender.trim_end(), "-o", "-"]).stdout, "hellohello");

    let monitor: Value = serde_json::from_str(&dev.fdfs(&["monitor", "--json"]).stdout).unwrap();
    assert_eq!(monitor["groups"][0]["storages"][0]["status"], "ACTIVE");
    assert!(dev.fdfs(&["monitor"]).stdout.contains("ACTIVE"));

    assert_eq!(dev.fdfs(&["delete", id]).code, 0);
    let gone = dev.fdfs(&["info", id]);
    assert_eq!((gone.code, gone.stderr.lines().count()), (1, 1), "{}", gone.stderr);
    assert_eq!(dev.fdfs(&["download", id]).code, 1);
    assert!(
        !std::fs::read_dir(dev.place.path(""))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".part") })
    );
}

#[test]
fn the_load_generator_measures_both_protocols() {
    let dev = Dev::start();
    let tracker = format!("{}:22122", dev.address);
    let storage = format!("{}:23000", dev.address);
    let (http, tracker_http) =
        (format!("http://{}:8888", dev.address), format!("http://{}:8080", dev.address));
    let check = |arguments: &[&str], ops: u64| {
        let mut all = vec!["bench", "--json", "--connections", "4", "--requests", "40", "--files", "10"];
        all.extend(arguments);
        let run = dev.place.run("fdfs", &all);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}: {}", run.stdout);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((report["ops"].as_u64(), report["errors"].as_u64()), (Some(ops), Some(0)), "{report}");
        assert!(report["latency_ms"]["p99"].as_f64() > Some(0.0), "{report}");
    };
    check(&["upload", "--native", &tracker, "--delete-after"], 40);
    check(&["upload", "--native", &storage, "--size", "100K", "--threads", "2"], 40);
    check(&["upload", "--http", &http, "--size", "100K", "--delete-after"], 40);
    check(&["download", "--native", &tracker, "--size", "300K"], 40);
    check(&["download", "--http", &http, "--size", "300K"], 40);
    check(&["download", "--native", &tracker, "--http", &http], 40);
    check(&["query", "--native", &tracker], 40);
    check(&["query", "--http", &tracker_http], 40);
    check(&["delete", "--native", &storage], 10);
    check(&["delete", "--http", &http], 10);
}

#[test]
fn dev_drains_on_ctrl_c_and_starts_again_on_its_data() {
    let mut dev = Dev::start();
    let file = dev.place.write("hello.txt", "hello");
    let id = dev.fdfs(&["upload", &file]).stdout;
    let pid = Pid::from_raw(i32::try_from(dev.process.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let status = dev.process.0.wait().unwrap();
    assert!(status.success(), "{status}");
    let out = dev.place.path("dev.out");
    let mut command = dev.place.command("fdfs", &["dev", "--bind", &dev.address.to_string()]);
    command.stdout(std::fs::File::create(&out).unwrap());
    dev.process = Killed(command.spawn().unwrap());
    until("fdfs dev", || text_of(&out).contains("Ctrl-C stops."));
    assert_eq!(dev.fdfs(&["download", id.trim_end(), "-o", "-"]).stdout, "hello");
}
