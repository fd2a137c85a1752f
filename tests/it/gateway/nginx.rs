//! nginx with fastdfs-nginx-module, where somebody has built it: `FDFS_NGINX_MODULE` names the program, or `nginx -V` names
//! the module. It reads `/etc/fdfs/mod_fastdfs.conf`, so it runs in a mount namespace of its own with a directory over that.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::address;
use crate::cluster::{START, made, ready};
use crate::process::Process;
use crate::say::skipped;
use crate::wait::until;

/// Types that both gateways are told.
pub(super) const TYPES: &str =
    "image/jpeg jpg jpeg\nimage/png png\ntext/plain txt\napplication/gzip tar_gz\napplication/x-log log\n";

/// The program; says why there is none.
pub(super) fn with_module(test: &str) -> Option<PathBuf> {
    let on_path = || {
        let output = Command::new("nginx").arg("-V").output().ok()?;
        String::from_utf8_lossy(&output.stderr).contains("fastdfs-nginx-module").then(|| "nginx".into())
    };
    let found = std::env::var_os("FDFS_NGINX_MODULE").map(PathBuf::from).or_else(on_path);
    if found.is_none() {
        skipped(test, "no nginx with fastdfs-nginx-module; FDFS_NGINX_MODULE names the program");
    } else if !geteuid().is_root() || !Path::new("/etc/fdfs").is_dir() {
        skipped(test, "nginx with the module needs root, and a directory /etc/fdfs to mount its own over");
        return None;
    }
    found
}

pub(super) struct Nginx {
    pub(super) process: Process,
    ip: IpAddr,
}

impl Nginx {
    /// Over the store path `store`, answering when this returns.
    pub(super) async fn start(program: &Path, dir: &Path, store: &Path, tracker: IpAddr) -> Self {
        let (ip, dir) = (address::fresh(), made(dir.join("nginx")));
        let etc = made(dir.join("etc"));
        let write = |name: &str, text: String| {
            std::fs::write(dir.join(name), text).expect("the scratch directory can be written");
        };
        write(
            "etc/mod_fastdfs.conf",
            format!(
                "base_path = {base}\ngroup_name = group1\nurl_have_group_name = true\nstore_path_count = 1\n\
                 store_path0 = {store}\ntracker_server = {tracker}\nstorage_server_port = 23000\n\
                 response_mode = proxy\nlog_filename = {base}/module.log\n#include http.conf\n",
                base = dir.display(),
                store = store.display(),
                tracker = address::tracker(tracker),
            ),
        );
        let types =
            "http.default_content_type = application/octet-stream\nhttp.mime_types_filename = mime.types\n";
        write("etc/http.conf", types.to_owned());
        write("etc/mime.types", TYPES.to_owned());
        let table: String = TYPES.lines().map(|line| format!("    {line};\n")).collect();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|part| format!("  {part}_temp_path {}/{part};\n", dir.display()))
            .collect();
        write(
            "nginx.conf",
            format!(
                "daemon off;\nmaster_process off;\npid {dir}/pid;\nerror_log {dir}/error.log;\nevents {{}}\nhttp {{\n\
                 \x20 types {{\n{table}  }}\n  default_type application/octet-stream;\n  access_log off;\n\
                 \x20 sendfile on;\n{temporary}  server {{\n    listen {ip}:80;\n    location / {{ ngx_fastdfs_module; }}\n\
                 \x20   location = /readyz {{ return 200; }}\n  }}\n}}\n",
                dir = dir.display(),
            ),
        );
        let script = "mount --bind \"$1\" /etc/fdfs && exec \"$2\" -c \"$3/nginx.conf\" -e \"$3/error.log\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).args([&etc, program, &dir]);
        let mut nginx = Self { process: Process::start(&mut command), ip };
        let url = nginx.url("/readyz");
        let process = &mut nginx.process;
        until("an answer of nginx", START, async || {
            process.assert_running();
            ready(&url).await
        })
        .await;
        nginx
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ip)
    }
}
