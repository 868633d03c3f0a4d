//! The account of what never arrived.

use super::Lost;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle;
use crate::processes::PidFile;
use crate::report::NeverArrived;
use std::collections::BTreeMap;

impl Lost {
    /// The programs finish what they have begun.
    pub async fn stop(&mut self) -> Result<(), LabError> {
        self.desk.pause().await
    }

    /// Nobody writes any more, and the link has brought everything over.
    pub async fn account(mut self, lab: &CurrentLab) -> Result<NeverArrived, LabError> {
        let new = self.log.acknowledged()?;
        let expected = oracle::expected(&self.prepared, &self.lost, &new);
        let figures = &mut self.figures;
        figures.written_meanwhile = new.len() as u64;
        for (site, _) in lab.plan.data_sites() {
            let there = oracle::payees_at(lab, site).await?;
            figures.wrong_in_the_end += oracle::unlike(&expected, &there);
        }
        figures.agents_peak_mib = peaks(lab);
        Ok(self.figures)
    }
}

/// The most memory that each agent had since it was started, MiB.
fn peaks(lab: &CurrentLab) -> BTreeMap<String, u64> {
    let peak = |site: &String| {
        let agent = PidFile::read(&lab.folder.pid(&format!("{site}-agent")))?;
        // proc_pid_status(5)
        let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some((site.clone(), kib / 1024))
    };
    lab.plan.sites.keys().filter_map(peak).collect()
}
