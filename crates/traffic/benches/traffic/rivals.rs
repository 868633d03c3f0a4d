//! HAProxy and nginx, each with what its manual says for two cores and kept connections.

use super::Outcome;
use super::process::Process;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `scripts/parts.sh proxies` unpacked them.
fn program(name: &str) -> Outcome<PathBuf> {
    let root = std::env::var("MAINSTAY_PARTS").map_err(|_| "run scripts/bench-traffic.sh")?;
    Ok(Path::new(&root).join("proxies/usr/sbin").join(name))
}

fn nginx(folder: &Path, name: &str, text: &str) -> Outcome<Process> {
    let file = folder.join(format!("{name}.conf"));
    std::fs::write(&file, text)?;
    let mut command = Command::new(program("nginx")?);
    command.arg("-p").arg(folder).arg("-c").arg(&file).args(["-e", "stderr"]);
    Process::start(command)
}

/// What every configuration of nginx here needs to run beside others, from any folder.
fn frame(folder: &Path, name: &str, workers: usize, http: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off; user root; worker_processes {workers}; worker_rlimit_nofile 20000;\n\
         pid {folder}/{name}.pid; error_log stderr crit;\n\
         events {{ worker_connections 15000; }}\n\
         http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s;\n\
         client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;\n\
         fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;\n\
         scgi_temp_path {folder}/{name}-s;\n{http} }}\n"
    )
}

/// The application: it says its site's name, and serves 1 MB at `/bulk`.
pub fn upstream(folder: &Path, listen: SocketAddr, says: &str) -> Outcome<Process> {
    std::fs::write(folder.join("bulk"), vec![b'x'; 1_000_000])?;
    let http = format!(
        "sendfile on; server {{ listen {listen} backlog=4096; location / {{ return 200 \"{says}\\n\"; }}\n\
         location = /bulk {{ root {}; }} }}",
        folder.display()
    );
    nginx(folder, "upstream", &frame(folder, "upstream", 1, &http))
}

/// nginx as a reverse proxy.
pub fn nginx_proxy(folder: &Path, listen: SocketAddr, to: SocketAddr) -> Outcome<Process> {
    let http = format!(
        "upstream app {{ server {to}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{ listen {listen} backlog=4096; location / {{ proxy_pass http://app;\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
    );
    nginx(folder, "proxy", &frame(folder, "proxy", 2, &http))
}

/// Where one HAProxy listens, and where it leads.
pub struct Ways {
    pub http: [SocketAddr; 2],
    pub plain: [SocketAddr; 2],
    pub postgres: [SocketAddr; 2],
}

pub fn haproxy(folder: &Path, ways: &Ways) -> Outcome<Process> {
    let way = |name: &str, mode: &str, [listen, to]: [SocketAddr; 2]| {
        format!(
            "frontend {name}\n mode {mode}\n bind {listen} backlog 4096\n default_backend {name}\n\
             backend {name}\n mode {mode}\n http-reuse always\n server one {to}\n"
        )
    };
    let text = format!(
        "global\n nbthread 2\n maxconn 15000\n no strict-limits\n\
         defaults\n timeout connect 5s\n timeout client 600s\n timeout server 600s\n\
         {}{}{}",
        way("web", "http", ways.http),
        way("plain", "tcp", ways.plain).replace(" http-reuse always\n", ""),
        way("postgres", "tcp", ways.postgres).replace(" http-reuse always\n", ""),
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let mut command = Command::new(program("haproxy")?);
    let root = std::env::var("MAINSTAY_PARTS")?;
    let libraries = Path::new(&root).join("proxies/usr/lib/x86_64-linux-gnu");
    command.arg("-db").arg("-f").arg(&file).env("LD_LIBRARY_PATH", libraries);
    command.stdout(Stdio::null());
    Process::start(command)
}
