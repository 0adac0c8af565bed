//! SQL Server Agent, the capture job, the cleanup job.

use tiberius::Row;

use super::super::client::{Client, integer, text};
use super::super::describe::Platform;
use super::super::{rights, sql as common};
use super::{Asked, Survey, ask, sql};
use crate::error::Result;
use crate::finding::{Finding, Matter, Place};

/// Minutes by which capture may be behind: an idle database's log is marked every few minutes. Commits have the server's
/// local time: once its clock is put forward, the last of them is an hour older than it was.
const LAG: i64 = 60 + 60;

/// Minutes for which history must be kept: a day on which nobody looks.
const SHORTEST_RETENTION: u64 = 24 * 60;

/// Minutes for which a new cleanup job keeps history.
const USUAL_RETENTION: u64 = 72 * 60;

/// What starts the Agent.
fn start_agent(version: &str, instance: &str) -> String {
    if version.contains(" on Linux") {
        return "sudo /opt/mssql/bin/mssql-conf set sqlagent.enabled true && sudo systemctl restart mssql-server"
            .to_owned();
    }
    let service = if instance.is_empty() { "SQLSERVERAGENT".to_owned() } else { format!("SQLAgent${instance}") };
    format!("net start {service}")
}

impl Survey<'_> {
    /// The Agent, capture, cleanup.
    pub async fn jobs(&mut self, client: &mut Client, server: &Row) -> Result<()> {
        let agent = self.agent(client, server).await?;
        if !self.database.captures {
            return Ok(());
        }
        let lag = match ask(client, sql::LAG).await? {
            Asked::Rows(rows) => rows.first().map(|row| (integer(row, 0), integer(row, 1))),
            // That schema cdc may not be read is told already.
            Asked::Absent | Asked::Refused(_) => None,
        };
        // The first instance makes the jobs.
        if lag.is_some_and(|(_, instances)| instances == 0) {
            return Ok(());
        }
        let jobs = self.both_jobs(client).await?;
        if lag.is_none() && jobs.as_ref().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let grant = rights::database(&client.who().await.user, "VIEW DATABASE STATE");
        let scan = self.ask(client, sql::SCAN, "of which errors capture failed", grant).await?;
        let failure = scan.first().filter(|row| integer(row, 1) != 0);
        let stopped = match &jobs {
            Some(jobs) => {
                self.cleanup(jobs);
                self.capture(jobs, failure, integer(server, 3) != 0, agent)
            }
            None => failure.is_some_and(|failure| {
                self.capture_failed(failure, None);
                true
            }),
        };
        if let Some((minutes, _)) = lag.filter(|(minutes, _)| agent && !stopped && *minutes > LAG) {
            self.behind(minutes, jobs.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    /// Whether the Agent is not known to stand still.
    async fn agent(&mut self, client: &mut Client, server: &Row) -> Result<bool> {
        if self.database.platform.is_managed() {
            return Ok(true);
        }
        let grant = rights::server_state(&self.database.login);
        let rows = self.ask(client, sql::AGENT, "whether SQL Server Agent runs", grant).await?;
        let Some(row) = rows.iter().find(|row| integer(row, 0) != 4) else { return Ok(true) };
        let message = format!(
            "SQL Server Agent does not run ({}): nothing is captured, nothing cleaned up, and the log grows",
            text(row, 1)
        );
        let command = start_agent(&text(server, 4), &text(server, 5));
        self.tell(Finding::new(Matter::AgentStopped, message).mend(Place::Shell, command));
        Ok(false)
    }

    /// The rows of both jobs; `None` where they cannot be told.
    async fn both_jobs(&mut self, client: &mut Client) -> Result<Option<Vec<Row>>> {
        let unknown = self.unknown.len();
        let rows = match self.database.platform {
            Platform::Server | Platform::ManagedInstance => {
                let grant = rights::jobs(&self.database.login);
                self.ask(client, sql::JOBS, "whether the jobs of capture and cleanup run, and what they keep", grant)
                    .await?
            }
            Platform::AzureDatabase => {
                let grant = rights::history(&client.who().await.user);
                self.ask(client, sql::AZURE_JOBS, "how long history is kept", grant).await?
            }
            // Hidden from its customers.
            Platform::Rds => return Ok(None),
        };
        let is_known = self.unknown.len() == unknown && (self.database.platform.has_jobs() || !rows.is_empty());
        Ok(is_known.then_some(rows))
    }

    /// Whether capture is told to stand still.
    fn capture(&mut self, jobs: &[Row], failure: Option<&Row>, is_published: bool, agent: bool) -> bool {
        // A publication's log reader captures in place of the job.
        if is_published || !self.database.platform.has_jobs() {
            if let Some(failure) = failure {
                self.capture_failed(failure, None);
            }
            return failure.is_some();
        }
        let Some(job) = jobs.iter().find(|row| text(row, 0) == "capture") else {
            let message = "there is no capture job: nothing is captured, and the log grows";
            self.tell(
                Finding::new(Matter::CaptureJob, message)
                    .mend(Place::Source, "EXEC sys.sp_cdc_add_job @job_type = N'capture'"),
            );
            return true;
        };
        if integer(job, 2) == 0 && !text(job, 1).is_empty() {
            let message = format!("the capture job '{}' is disabled: it does not start with the Agent", text(job, 1));
            let mut finding = Finding::new(Matter::CaptureJob, message).mend(Place::Source, enable(&text(job, 1)));
            let stopped = integer(job, 6) == 0;
            if stopped {
                finding = finding.mend(Place::Source, START);
            }
            self.tell(finding);
            return stopped;
        }
        let stands = integer(job, 3) != 0 && integer(job, 6) == 0;
        match failure {
            Some(failure) => self.capture_failed(failure, Some(integer(job, 6) != 0)),
            // That the Agent does not run is told, and starts it.
            None if stands && agent => {
                let message = "the capture job does not run: nothing is captured, and the log grows";
                self.tell(Finding::new(Matter::CaptureStopped, message).mend(Place::Source, START));
            }
            None => {}
        }
        stands || failure.is_some()
    }

    /// `runs` is whether the job goes on trying, if there is one.
    fn capture_failed(&mut self, failure: &Row, runs: Option<bool>) {
        let message = format!(
            "capture failed at its last try with {}: {}; once that is mended, start it again",
            integer(failure, 1),
            text(failure, 2).trim()
        );
        let finding = Finding::new(Matter::CaptureFailed, message);
        let again: &[&str] = match runs {
            Some(true) => &[STOP, START],
            Some(false) => &[START],
            None => &[],
        };
        self.tell(again.iter().fold(finding, |finding, statement| finding.mend(Place::Source, *statement)));
    }

    fn behind(&mut self, lag: i64, jobs: &[Row]) {
        let message = format!(
            "the last commit that capture has read is {lag} minutes old: what is newer does not flow yet, and the log grows"
        );
        let mut finding = Finding::new(Matter::CaptureBehind, message);
        let runs = jobs.iter().any(|row| text(row, 0) == "capture" && integer(row, 6) != 0);
        if runs && self.database.platform.has_jobs() {
            finding = finding
                .mend(
                    Place::Source,
                    "EXEC sys.sp_cdc_change_job @job_type = N'capture', @maxtrans = 5000, @maxscans = 100, @pollinginterval = 5",
                )
                .mend(Place::Source, STOP)
                .mend(Place::Source, START);
        }
        self.tell(finding);
    }

    fn cleanup(&mut self, jobs: &[Row]) {
        let Some(job) = jobs.iter().find(|row| text(row, 0) == "cleanup") else {
            let message = "there is no cleanup job: history that nobody purges grows for ever";
            self.tell(
                Finding::new(Matter::CleanupJob, message)
                    .mend(Place::Source, "EXEC sys.sp_cdc_add_job @job_type = N'cleanup'"),
            );
            return;
        };
        if integer(job, 2) == 0 && !text(job, 1).is_empty() {
            let message =
                format!("the cleanup job '{}' is disabled: history that nobody purges grows for ever", text(job, 1));
            self.tell(Finding::new(Matter::CleanupJob, message).mend(Place::Source, enable(&text(job, 1))));
        }
        let window = self.config.sync.max_window.as_secs().div_ceil(60);
        let needed = SHORTEST_RETENTION.max(window);
        let Ok(kept) = u64::try_from(integer(job, 5)) else { return };
        if kept >= needed {
            return;
        }
        let why = if kept < window {
            "one batch may span more (max_window)".to_owned()
        } else {
            "a schedule that stands still for longer loses changes".to_owned()
        };
        let message = format!("history is kept for {kept} minutes, and {why}: each table would have to be copied anew");
        let retention = USUAL_RETENTION.max(window);
        let statement = format!("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = {retention}");
        self.tell(Finding::new(Matter::RetentionShort, message).mend(Place::Source, statement));
    }
}

const STOP: &str = "EXEC sys.sp_cdc_stop_job @job_type = N'capture'";

const START: &str = "EXEC sys.sp_cdc_start_job @job_type = N'capture'";

fn enable(job: &str) -> String {
    format!("EXEC msdb.dbo.sp_update_job @job_name = {}, @enabled = 1", common::literal(job))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_started_as_its_machine_does_it() {
        let linux = "Microsoft SQL Server 2022 (RTM) - 16.0 (X64) Developer Edition (64-bit) on Linux (Ubuntu)";
        assert!(start_agent(linux, "").contains("mssql-conf set sqlagent.enabled true"));
        assert_eq!(start_agent("… on Windows Server 2022", ""), "net start SQLSERVERAGENT");
        assert_eq!(start_agent("… on Windows Server 2022", "EU"), "net start SQLAgent$EU");
    }
}
