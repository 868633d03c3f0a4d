//! One site's PostgreSQL.

use super::child::{self, Spec};
use super::folder::{Folder, make_private, write_private};
use super::pid::PidFile;
use super::plan::{DataSite, HOME, LabPlan};
use super::secrets::Secrets;
use crate::error::{Doing, LabError};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// For a dead server to be forgotten; after it the server says itself what is in its way.
const PATIENCE: Duration = Duration::from_secs(10);

pub const DATABASE: &str = "bank";

/// Makes the site's database cluster.
pub async fn initialise(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    secrets: &Secrets,
) -> Result<(), LabError> {
    let data = folder.data(site);
    make_private(&data)?;
    let password = folder.site(site).join("initdb-password");
    write_private(&password, secrets.postgres.as_bytes())?;
    if let Some(user) = plan.server_user {
        user.own(&data)?;
        user.own(&password)?;
    }
    run_initdb(plan, folder, site, &data, &password).await?;
    std::fs::remove_file(&password).doing(|| format!("remove {}", password.display()))?;
    append_settings(plan.data(site)?, site, &data)
}

async fn run_initdb(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    data: &Path,
    password: &Path,
) -> Result<(), LabError> {
    let mut command = tokio::process::Command::new(plan.postgres.join("bin/initdb"));
    command
        .arg("--pgdata")
        .arg(data)
        .arg("--pwfile")
        .arg(password)
        .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"])
        .args(["--no-sync", "--no-instructions"])
        .env("LD_LIBRARY_PATH", plan.postgres.join("lib"))
        .current_dir(folder.root());
    if let Some(user) = plan.server_user {
        command.gid(user.gid).uid(user.uid);
    }
    let output = command.output().await.doing(|| format!("run initdb for {site}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(said)).doing(|| format!("make the database of {site}"))
}

/// `cluster_name` is what the bank's rows say of who accepted them; `track_commit_timestamp` lets
/// the oracle ask the database itself when a row was committed.
fn append_settings(place: &DataSite, site: &str, data: &Path) -> Result<(), LabError> {
    let settings = format!(
        "listen_addresses = '{}'\n\
         port = {}\n\
         unix_socket_directories = ''\n\
         cluster_name = '{site}'\n\
         dynamic_shared_memory_type = mmap\n\
         wal_level = logical\n\
         max_wal_senders = 16\n\
         max_replication_slots = 16\n\
         track_commit_timestamp = on\n\
         shared_buffers = 64MB\n\
         max_wal_size = 2GB\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_line_prefix = '%m [%p] %u %a '\n",
        place.postgres.ip(),
        place.postgres.port()
    );
    append(&data.join("postgresql.conf"), &settings)?;
    // Where a site has a network of its own, connections come from other addresses.
    let hosts = "host all all all scram-sha-256\nhost replication all all scram-sha-256\n";
    append(&data.join("pg_hba.conf"), hosts)
}

fn append(path: &Path, text: &str) -> Result<(), LabError> {
    use std::io::Write;
    let open = || std::fs::File::options().append(true).open(path);
    let written = open().and_then(|mut file| file.write_all(text.as_bytes()));
    written.doing(|| format!("write {}", path.display()))
}

/// Returns once it answers queries.
pub async fn start_postgres(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    secrets: &Secrets,
) -> Result<PidFile, LabError> {
    let data = folder.data(site);
    // A killed server leaves its pid file; the server itself finds out that it is stale, but only
    // when the system has forgotten the process, which its new parent has to be asked for.
    let _forgotten = tokio::time::timeout(PATIENCE, until_forgotten(&data)).await;
    let spec = Spec {
        name: format!("{site}-postgres"),
        space: plan.space(site),
        program: plan.postgres.join("bin/postgres"),
        arguments: vec!["-D".into(), data.clone().into()],
        environment: vec![("LD_LIBRARY_PATH".to_owned(), plan.postgres.join("lib").into())],
        user: plan.server_user,
        current_dir: data,
    };
    let process = child::start(folder, spec)?;
    let place = plan.data(site)?;
    let answers = async || {
        let Ok(client) = connect(place, secrets, "postgres").await else { return false };
        client.simple_query("SELECT 1").await.is_ok()
    };
    child::wait_until_up(folder, &process, answers).await?;
    Ok(process)
}

/// Returns when no process has the number in the folder's pid file, dead ones included.
async fn until_forgotten(data: &Path) {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let number = text.lines().next().unwrap_or_default().to_owned();
    while !number.is_empty() && Path::new("/proc").join(&number).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The roles and the empty database; both sites have the same ones.
pub async fn make_roles(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    secrets: &Secrets,
) -> Result<(), LabError> {
    let failed = |source| database_error(folder, site, source);
    let client = connect(plan.data(site)?, secrets, "postgres").await.map_err(failed)?;
    let roles = format!(
        "CREATE ROLE mainstay SUPERUSER REPLICATION LOGIN PASSWORD '{}';\
         CREATE ROLE bank_owner LOGIN PASSWORD '{}';\
         CREATE ROLE bank LOGIN PASSWORD '{}';",
        secrets.mainstay, secrets.owner, secrets.bank
    );
    client.batch_execute(&roles).await.map_err(failed)?;
    // CREATE DATABASE cannot run in a transaction, as statements sent together do.
    client.batch_execute("CREATE DATABASE bank OWNER bank_owner").await.map_err(failed)?;
    let connect_rights = "REVOKE CONNECT, TEMPORARY ON DATABASE bank FROM PUBLIC;\
                          GRANT CONNECT ON DATABASE bank TO bank;";
    client.batch_execute(connect_rights).await.map_err(failed)
}

/// To a database at a site, past the gate, as someone whom Mainstay never fences.
pub async fn connect_as_superuser(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    secrets: &Secrets,
    database: &str,
) -> Result<Client, LabError> {
    let failed = |source| database_error(folder, site, source);
    connect(plan.data(site)?, secrets, database).await.map_err(failed)
}

pub fn database_error(folder: &Folder, site: &str, source: tokio_postgres::Error) -> LabError {
    LabError::Database {
        site: site.to_owned(),
        source,
        log: folder.log(&format!("{site}-postgres")),
    }
}

/// As whoever made the bank's tables, at home.
pub async fn connect_as_owner(
    plan: &LabPlan,
    folder: &Folder,
    secrets: &Secrets,
) -> Result<Client, LabError> {
    let failed = |source| database_error(folder, HOME, source);
    connect_as(plan.data(HOME)?, "bank_owner", &secrets.owner, DATABASE).await.map_err(failed)
}

/// As the application would, past every gate.
pub async fn connect_as_application(
    place: &DataSite,
    secrets: &Secrets,
) -> Result<Client, tokio_postgres::Error> {
    connect_as(place, "bank", &secrets.bank, DATABASE).await
}

async fn connect(
    place: &DataSite,
    secrets: &Secrets,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    connect_as(place, "postgres", &secrets.postgres, database).await
}

async fn connect_as(
    place: &DataSite,
    user: &str,
    password: &str,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(place.postgres.ip().to_string())
        .port(place.postgres.port())
        .user(user)
        .password(password)
        .dbname(database)
        .application_name("lab")
        .connect_timeout(Duration::from_secs(5))
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}
