use mainstay_lab::processes::{
    Folder, LabPlan, PidFile, Secrets, Wanted, end_everything, find_postgres, initialise,
    kill_site, processes_in, start_postgres,
};
use mainstay_testkit::wait_for;
use std::path::PathBuf;
use std::time::Duration;

/// Ends what the test started, also when it fails.
struct Lab {
    plan: LabPlan,
    folder: Folder,
    secrets: Secrets,
}

impl Lab {
    fn make() -> Self {
        let wanted = Wanted {
            seed: 1,
            accounts: 10,
            rate: 1.0,
            workers: 1,
            load_seconds: 2,
            cool_down_seconds: 600,
            added: String::new(),
            fence: None,
        };
        let postgres = find_postgres().expect("PostgreSQL is there");
        let plan = LabPlan::make(wanted, PathBuf::from("mainstay"), postgres, None)
            .expect("there are free ports");
        let folder = Folder::create().expect("a temporary folder");
        plan.save(&folder).expect("it can be written");
        Self { plan, folder, secrets: Secrets::make() }
    }

    async fn start(&self) -> PidFile {
        start_postgres(&self.plan, &self.folder, "east", &self.secrets).await.expect("it starts")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = end_everything(&self.plan, &self.folder, true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_site_has_no_process_left_and_starts_again() {
    let lab = Lab::make();
    initialise(&lab.plan, &lab.folder, "east", &lab.secrets).await.unwrap();
    let process = lab.start().await;
    let data = lab.folder.data("east");
    let children = processes_in(&lab.plan, &data).len();
    assert!(children > 3, "{children}");
    // PostgreSQL starts and ends workers as it likes.
    assert!(kill_site(&lab.plan, &lab.folder, "east").unwrap() > 3);
    // A killed process may take a moment to go.
    let gone = async || !process.is_alive() && processes_in(&lab.plan, &data).is_empty();
    wait_for("their end", Duration::from_secs(60), gone).await;
    assert!(lab.start().await.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_everything_leaves_neither_process_nor_folder() {
    let lab = Lab::make();
    initialise(&lab.plan, &lab.folder, "east", &lab.secrets).await.unwrap();
    let process = lab.start().await;
    let root = lab.folder.root().to_owned();
    end_everything(&lab.plan, &lab.folder, true).unwrap();
    wait_for("its end", Duration::from_secs(60), async || !process.is_alive()).await;
    assert!(!root.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_ended_also_when_someone_has_removed_their_folder() {
    let lab = Lab::make();
    initialise(&lab.plan, &lab.folder, "east", &lab.secrets).await.unwrap();
    let process = lab.start().await;
    std::fs::remove_dir_all(lab.folder.root()).unwrap();
    end_everything(&lab.plan, &lab.folder, true).unwrap();
    // A killed process may take a moment to go.
    wait_for("its end", Duration::from_secs(60), async || !process.is_alive()).await;
}

#[test]
fn a_site_that_does_not_exist_cannot_be_killed() {
    let lab = Lab::make();
    let error = kill_site(&lab.plan, &lab.folder, "north").unwrap_err().to_string();
    assert!(error.contains("MS-LAB-006") && error.contains("east, west, witness"), "{error}");
}
