//! nginx over the same directory, as somebody who cares for speed configures it; and nginx with the module.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::address;
use crate::certificate::Certificate;
use crate::cluster::{START, made};
use crate::files::Store;
use crate::process::Process;
use crate::say::say;
use crate::server::{Cores, Make, Server, on_path};
use crate::wait::until;

const PORT: u16 = 8080;
const TLS_PORT: u16 = 8443;
/// Where the module's configuration is, as its source has it compiled in.
const MODULE_DIR: &str = "/etc/fdfs";

/// Descriptors of a worker that are not for cached files.
const OTHER_DESCRIPTORS: u64 = 2500;

/// Descriptors that a worker may have. With fewer than it has files in its cache and connections, nginx answers nothing.
fn descriptors() -> u64 {
    const WANTED: u64 = 65_536;
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(WANTED);
    // A container's root may not go past it either.
    most.clamp(OTHER_DESCRIPTORS + 1, WANTED)
}

/// nginx as Debian has it.
pub(crate) async fn plain(store: &Store, cores: &Cores) -> Option<Server> {
    let Some(program) = on_path("nginx").next() else {
        say("skipped: nginx: it is not on the PATH");
        return None;
    };
    let dir = made(store.dir.path().join("nginx"));
    let location = format!("location /group1/M00/ {{ alias {}/; }}", store.path.join("data").display());
    let cached = (descriptors() - OTHER_DESCRIPTORS).min(50_000);
    let cache = format!("open_file_cache max={cached} inactive=600s; open_file_cache_valid 60s;");
    let ip = address::fresh();
    let certificate = Certificate::make(&dir, ip);
    let conf = configure(&dir, ip, &cache, &location, certificate.as_ref());
    let mut command = Command::new(program);
    command.args(["-e", "stderr", "-c"]).arg(conf);
    Some(start(Make::Nginx, ip, certificate.is_some(), &cores.server(&command), store).await)
}

/// nginx with the module, where it is.
pub(crate) async fn with_module(store: &Store, cores: &Cores) -> Option<Server> {
    let Some(program) = module_program() else {
        say(
            "skipped: nginx with fastdfs-nginx-module: FDFS_NGINX_MODULE does not name it, and no nginx on the PATH has it",
        );
        return None;
    };
    if !Path::new(MODULE_DIR).is_dir() {
        say(&format!(
            "skipped: {}: it needs a directory {MODULE_DIR}, to be covered while it runs",
            program.display()
        ));
        return None;
    }
    let dir = made(store.dir.path().join("module"));
    configure_module(&dir, store);
    let ip = address::fresh();
    let conf = configure(&dir, ip, "", "location / { ngx_fastdfs_module; }", None);
    // Its configuration has one place only; a mount that nothing else sees puts ours there.
    let script = r#"mount --bind "$1/etc" /etc/fdfs && exec "$2" -e stderr -c "$3""#;
    let mut command = Command::new("unshare");
    command.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
    command.args(["sh", "-c", script, "sh"]).args([&dir, &program, &conf]);
    Some(start(Make::Module, ip, false, &cores.server(&command), store).await)
}

async fn start(make: Make, ip: IpAddr, has_tls: bool, command: &Command, store: &Store) -> Server {
    let mut pinned = Command::new(command.get_program());
    let mut process = Process::start(pinned.args(command.get_args()));
    let url = format!("http://{ip}:{PORT}");
    let file = format!("{url}{}", store.hot(4096));
    until("file from nginx", START, async || {
        process.assert_running();
        crate::cluster::ready(&file).await
    })
    .await;
    Server::new(make, [url, format!("https://{ip}:{TLS_PORT}")], has_tls, process, None)
}

/// The nginx that says of itself that it has the module.
fn module_program() -> Option<PathBuf> {
    let has_module = |program: &PathBuf| {
        let about = Command::new(program).arg("-V").output();
        about.is_ok_and(|about| String::from_utf8_lossy(&about.stderr).contains("fastdfs"))
            || std::env::var_os("FDFS_NGINX_MODULE").is_some_and(|named| named == program.as_os_str())
    };
    let named = std::env::var_os("FDFS_NGINX_MODULE").map(PathBuf::from);
    named.into_iter().chain(on_path("nginx-fdfs")).chain(on_path("nginx")).find(has_module)
}

/// `nginx.conf` in `dir`.
fn configure(
    dir: &Path,
    ip: IpAddr,
    http: &str,
    location: &str,
    certificate: Option<&Certificate>,
) -> PathBuf {
    let tls = certificate.map_or_else(String::new, |Certificate { certificate, key }| {
        format!(
            "listen {ip}:{TLS_PORT} ssl http2 backlog=4096; ssl_certificate {}; ssl_certificate_key {};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m; ssl_session_timeout 1h;",
            certificate.display(),
            key.display()
        )
    });
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (at, descriptors) = (dir.display(), descriptors());
    let text = format!(
        "{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {at}/pid;
events {{ worker_connections 8192; }}
http {{
  types {{ image/jpeg jpg; }}
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  http2_max_concurrent_streams 128;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
  uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
  {http}
  server {{
    listen {ip}:{PORT} backlog=4096;
    {tls}
    {location}
  }}
}}
"
    );
    let conf = dir.join("nginx.conf");
    std::fs::write(&conf, text).expect("the scratch directory can be written");
    conf
}

fn configure_module(dir: &Path, store: &Store) {
    let etc = made(dir.join("etc"));
    let base = made(dir.join("base"));
    let module = format!(
        "connect_timeout = 2
network_timeout = 30
base_path = {}
load_fdfs_parameters_from_tracker = false
tracker_server = 127.0.0.1:22122
storage_server_port = 23000
group_name = group1
url_have_group_name = true
store_path_count = 1
store_path0 = {}
response_mode = proxy
log_level = error
log_filename = {}
#include http.conf
",
        base.display(),
        store.path.display(),
        dir.join("module.log").display()
    );
    let http = "http.default_content_type = application/octet-stream
http.mime_types_filename = mime.types
http.anti_steal.check_token = false
";
    for (name, text) in
        [("mod_fastdfs.conf", module.as_str()), ("http.conf", http), ("mime.types", "image/jpeg jpg\n")]
    {
        std::fs::write(etc.join(name), text).expect("the scratch directory can be written");
    }
}
