//! Together with FastDFS's own tracker, where `fdfs_trackerd` of FastDFS 6.16 is on the PATH.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::cluster::CheckSync;
use tokio::net::TcpStream;

use crate::network::Network;
use crate::peers::Tracker;
use crate::several::{Member, agreed, beat, listed, told_leader};

const HTTP: &str = "http.server_port = 0\n";

/// FastDFS's own tracker, not one of ours under its name.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("fdfs_trackerd"));
    let real = found.find(|file| file.is_file())?.canonicalize().ok()?;
    (real.file_name()? == "fdfs_trackerd").then_some(real)
}

/// Says so and is nothing when FastDFS is not here.
pub fn program_or_skip(test: &str) -> Option<PathBuf> {
    let program = program();
    if program.is_none() {
        // Past the test harness, which hides what passing tests print.
        let text = format!("skipped: {test}: fdfs_trackerd of FastDFS is not on the PATH\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    program
}

/// FastDFS's tracker while it runs.
pub struct Theirs(Child);

impl Theirs {
    pub async fn start(program: &Path, address: SocketAddr, base: &Path) -> Self {
        Self::try_start(program, address, base).await.unwrap_or_else(|log| panic!("it ended: {log}"))
    }

    /// Starts it; its log if it gives up.
    pub async fn try_start(program: &Path, address: SocketAddr, base: &Path) -> Result<Self, String> {
        let conf = base.join("tracker.conf");
        let settings = format!(
            "bind_addr = {}\nport = {}\nbase_path = {}\nthread_stack_size = 512KB\nreserved_storage_space = 1%\n",
            address.ip(),
            address.port(),
            base.display()
        );
        std::fs::write(&conf, settings).unwrap();
        let mut command = Command::new(program);
        command.arg("--no-daemon").arg(&conf).arg("start").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            if child.try_wait().unwrap().is_some() {
                return Err(log(base));
            }
            assert!(Instant::now() < deadline, "it does not listen: {}", log(base));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self(child))
    }
}

impl Theirs {
    /// Stops or continues the process, so that its connections stay open and nothing answers on them.
    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(base: &Path) -> String {
    std::fs::read_to_string(base.join("logs/trackerd.log")).unwrap_or_default()
}

#[tokio::test]
async fn ours_and_theirs_elect_follow_and_take_over_from_each_other() {
    let Some(program) = program_or_skip("ours_and_theirs_elect_follow_and_take_over_from_each_other") else {
        return;
    };
    let network = Network::claim();
    let (our_dir, their_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (network.tracker(1), network.tracker(2));
    let trackers = [ours, theirs];
    let member = Member { ip: network.ip(11), group: "group1" };

    let our_tracker = Tracker::start(ours, our_dir.path(), HTTP).await;
    let mut to_ours = member.join(&trackers, ours).await;
    told_leader(&mut to_ours).await;
    let their_tracker = Theirs::start(&program, theirs, their_dir.path()).await;
    let mut to_theirs = member.join(&trackers, theirs).await;
    assert_eq!(agreed(&network, &trackers).await, ours, "theirs follows ours");
    assert_eq!(beat(&mut to_theirs).await, CheckSync::default());

    our_tracker.stop().await;
    let news = told_leader(&mut to_theirs).await;
    assert_eq!(news.leader.unwrap().ip, Some(theirs.ip()), "theirs takes over");

    let our_tracker = Tracker::start(ours, our_dir.path(), HTTP).await;
    let mut to_ours = member.join(&trackers, ours).await;
    assert_eq!(agreed(&network, &trackers).await, theirs, "ours follows theirs");
    assert_eq!(beat(&mut to_ours).await, CheckSync::default());
    drop(their_tracker);
    let news = told_leader(&mut to_ours).await;
    assert_eq!(news.leader.unwrap().ip, Some(ours.ip()), "ours takes over");
    our_tracker.stop().await;
}

/// Members of two groups, one of three storages, so that the files have something to say.
fn members(network: &Network) -> Vec<Member> {
    let member = |last, group| Member { ip: network.ip(last), group };
    vec![member(21, "group2"), member(13, "group1"), member(12, "group1"), member(11, "group1")]
}

#[tokio::test]
async fn each_copies_the_others_files() {
    let Some(program) = program_or_skip("each_copies_the_others_files") else { return };
    for our_one_is_new in [true, false] {
        let network = Network::claim();
        let (our_dir, their_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (network.tracker(1), network.tracker(2));
        let (old, new) = if our_one_is_new { (theirs, ours) } else { (ours, theirs) };
        let mut our_tracker = None;
        let mut their_tracker = None;
        for address in [old, new] {
            if address == ours {
                our_tracker = Some(Tracker::start(ours, our_dir.path(), HTTP).await);
            } else {
                their_tracker = Some(Theirs::start(&program, theirs, their_dir.path()).await);
            }
            if address == old {
                let mut links = Vec::new();
                for member in members(&network) {
                    let mut link = member.join(&[old], old).await;
                    beat(&mut link).await;
                    links.push(link);
                }
            }
        }
        let mut link = members(&network).pop().unwrap().join(&[old, new], new).await;
        beat(&mut link).await;
        let ip = |last| network.ip(last);
        let group1 =
            [format!("{} ACTIVE", ip(11)), format!("{} OFFLINE", ip(12)), format!("{} OFFLINE", ip(13))];
        let mut shown = listed(&network, new, "group1").await;
        shown.sort();
        assert_eq!(shown, group1, "new one is ours: {our_one_is_new}; {}", log(their_dir.path()));
        assert_eq!(listed(&network, new, "group2").await, [format!("{} OFFLINE", ip(21))]);
        drop(their_tracker);
        if let Some(tracker) = our_tracker {
            tracker.stop().await;
        }
    }
}

/// Each leads alone, until storages tell them of each other. Whoever has the better address stays.
#[tokio::test]
async fn of_two_leaders_ours_and_theirs_one_remains() {
    let Some(program) = program_or_skip("of_two_leaders_ours_and_theirs_one_remains") else { return };
    for (our_last, their_last) in [(1, 2), (2, 1)] {
        let network = Network::claim();
        let (our_dir, their_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (network.tracker(our_last), network.tracker(their_last));
        let our_tracker = Tracker::start(ours, our_dir.path(), HTTP).await;
        let _their_tracker = Theirs::start(&program, theirs, their_dir.path()).await;
        let member = Member { ip: network.ip(11), group: "group1" };
        for tracker in [ours, theirs] {
            let mut link = member.join(&[tracker], tracker).await;
            told_leader(&mut link).await;
        }
        let trackers = [ours, theirs];
        for tracker in trackers {
            beat(&mut member.join(&trackers, tracker).await).await;
        }
        assert_eq!(agreed(&network, &trackers).await, network.tracker(2), "{}", log(their_dir.path()));
        our_tracker.stop().await;
    }
}

/// Their leader hangs; ours takes over; theirs wakes up and still takes itself for the leader.
#[tokio::test]
async fn a_leader_of_theirs_that_hung_is_replaced_and_gives_way_or_takes_over() {
    let Some(program) =
        program_or_skip("a_leader_of_theirs_that_hung_is_replaced_and_gives_way_or_takes_over")
    else {
        return;
    };
    for (our_last, their_last) in [(1, 2), (2, 1)] {
        let network = Network::claim();
        let (our_dir, their_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (network.tracker(our_last), network.tracker(their_last));
        let trackers = [ours, theirs];
        let member = Member { ip: network.ip(11), group: "group1" };
        let their_tracker = Theirs::start(&program, theirs, their_dir.path()).await;
        let mut to_theirs = member.join(&[theirs], theirs).await;
        told_leader(&mut to_theirs).await;
        let our_tracker = Tracker::start(ours, our_dir.path(), HTTP).await;
        let _to_theirs = member.join(&trackers, theirs).await;
        let mut to_ours = member.join(&trackers, ours).await;
        assert_eq!(agreed(&network, &trackers).await, theirs);

        their_tracker.signal("-STOP");
        let news = told_leader(&mut to_ours).await;
        assert_eq!(news.leader.unwrap().ip, Some(ours.ip()));
        their_tracker.signal("-CONT");
        assert_eq!(agreed(&network, &trackers).await, network.tracker(2), "{}", log(their_dir.path()));
        our_tracker.stop().await;
    }
}
