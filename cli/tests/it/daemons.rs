//! Daemons: start, status, stop, refusals, logs.

use std::net::TcpListener;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Killed, Place, Stopped, text_of, tracker_conf, until};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_background_daemon_lives_as_fastdfs_scripts_expect() {
    let place = Place::new();
    let conf = tracker_conf(&place, "http.server_port = 0\n");
    let daemon = |action: &str| place.run("fdfs_trackerd", &[&conf, action]);
    assert_eq!(daemon("status").stdout, "NOT running\n");
    assert_eq!(daemon("status").code, 2);
    assert_eq!(daemon("stop").code, 2);
    assert!(daemon("stop").stderr.contains("not exist!"));

    let _stopped = Stopped { place: &place, conf: &conf };
    let started = place.run("fdfs_trackerd", &[&conf]);
    assert_eq!((started.code, started.stdout.as_str(), started.stderr.as_str()), (0, "", ""));
    // It serves when the start returns: the pid file is there and so is the listener.
    let pid = text_of(&place.path("tracker/data/fdfs_trackerd.pid"));
    assert_eq!(daemon("status").stdout, format!("Running, pid: {pid}\n"));
    let again = daemon("start");
    assert_eq!(again.code, 17);
    assert_eq!(again.stderr, format!("process fdfs_trackerd already running, pid: {pid}\n"));
    // The new name sees the same daemon.
    assert_eq!(place.run("fdfs", &["tracker", &conf, "status"]).code, 0);

    let restarted = daemon("restart");
    assert_eq!(restarted.code, 0, "{restarted:?}");
    let new = text_of(&place.path("tracker/data/fdfs_trackerd.pid"));
    assert_ne!(new, pid);
    let stopped = daemon("stop");
    assert_eq!(stopped.code, 0);
    assert_eq!(stopped.stderr, format!("waiting for pid [{new}] exit ...\npid [{new}] exit.\n\n"));
    assert_eq!(daemon("status").code, 2);
    assert!(!place.path("tracker/data/fdfs_trackerd.pid").exists());
}

#[test]
fn a_background_start_that_fails_says_so_on_the_terminal() {
    let place = Place::new();
    let conf = tracker_conf(&place, "http.server_port = 0\n");
    let address =
        text_of(conf.as_ref()).lines().find_map(|line| line.strip_prefix("bind_addr = ").map(str::to_owned));
    let _taken = TcpListener::bind((address.unwrap(), 22122)).unwrap();
    let started = place.run("fdfs_trackerd", &[&conf, "start"]);
    assert_ne!(started.code, 0);
    assert_eq!(started.stderr.lines().count(), 1, "{}", started.stderr);
    assert!(started.stderr.contains(":22122"), "{}", started.stderr);
    let log = text_of(&place.path("tracker/logs/trackerd.log"));
    assert!(log.contains("ERROR - does not start"), "{log}");
}

#[test]
fn configurations_that_cannot_be_used_have_fastdfs_exit_codes() {
    let place = Place::new();
    let disabled = tracker_conf(&place, "disabled = true\n");
    for name in ["fdfs_trackerd", "fdfs_storaged"] {
        assert_eq!(place.run(name, &["no-such.conf", "start"]).code, 2, "{name}");
        assert_eq!(place.run(name, &["no-such.conf", "status"]).code, 2, "{name}");
        assert_eq!(place.run(name, &[&disabled, "start"]).code, 125, "{name}");
    }
    let wrong = place.write("wrong.conf", "base_path = /tmp\nstore_lookup = 7\n");
    let refused = place.run("fdfs_trackerd", &[&wrong, "start"]);
    assert_eq!(refused.code, 22);
    assert!(refused.stderr.contains("wrong.conf:2: error: "), "{}", refused.stderr);
}

#[test]
fn options_of_fastdfs_daemons() {
    let place = Place::new();
    for name in ["fdfs_trackerd", "fdfs_storaged"] {
        let version = place.run(name, &["-V"]);
        assert_eq!(version.code, 0);
        assert!(version.stdout.starts_with(&format!("\n{name} V6.16.1")), "{}", version.stdout);
        for (arguments, code) in [
            (&["-h"][..], 0),
            (&[], 1),
            (&["-x"], 1),
            (&["-N"], 1),
            (&["a", "frob"], 22),
            (&["a", "stop", "b"], 1),
        ] {
            let run = place.run(name, arguments);
            assert_eq!(run.code, code, "{name} {arguments:?}");
            assert_eq!(run.stdout, "", "{name} {arguments:?}");
            assert!(run.stderr.contains("Usage: "), "{name} {arguments:?}: {}", run.stderr);
        }
    }
}

#[test]
fn in_the_foreground_the_log_goes_to_both_places_and_hup_rotates_it() {
    let place = Place::new();
    let conf = tracker_conf(&place, "http.server_port = 0\nlog_levl = debug\n");
    let mut command = place.command("fdfs_trackerd", &["-N", &conf]);
    let stderr = place.path("stderr");
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&stderr).unwrap());
    let mut child = Killed(command.spawn().unwrap());
    let log = place.path("tracker/logs/trackerd.log");
    until("the service", || text_of(&log).contains("native service is up"));
    for text in [text_of(&log), text_of(&stderr)] {
        assert!(text.contains("WARNING - "), "{text}");
        assert!(text.contains("tracker.conf:4: log_levl is not a key"), "{text}");
        let line = text.lines().next().unwrap();
        assert_eq!(line.find("] "), Some(20), "[YYYY-MM-DD HH:MM:SS] in front: {line}");
    }
    signal(child.0.id(), Signal::HUP);
    let logs = || std::fs::read_dir(place.path("tracker/logs")).unwrap().count();
    until("the rotated log", || logs() == 2);
    signal(child.0.id(), Signal::TERM);
    let status = child.0.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(text_of(&log).contains("tracker has stopped"));
}

#[test]
fn a_user_that_does_not_exist_is_named() {
    let place = Place::new();
    let conf = tracker_conf(&place, "run_by_user = nobody-of-this-name\n");
    let refused = place.run("fdfs", &["tracker", &conf]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.stderr,
        "fdfs tracker: run_by_user = nobody-of-this-name: /etc/passwd has no such user\n"
    );
}
