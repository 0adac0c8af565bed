//! How each table goes on from what flowed before, and the capture instances that it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::flow::{self, Course};
use super::super::summary::Report;
use super::Context;
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
use crate::ledger::Ledger;
use crate::manifest::Manifest;
use crate::source::{Capture, Owner, Source, SourceTable};
use crate::table::{Column, Table, TableName};

/// A table on its way through the checks.
pub struct Flow {
    /// As the catalogue has it.
    pub found: SourceTable,
    /// As it flows already, as far as the source still has that; else as it is now.
    pub table: Table,
    /// The same, and behind them the columns that the source has gained and that shall flow.
    pub wanted: Table,
    /// Whether a generation of it is open.
    pub opened: bool,
    /// The newest batch of that.
    tail: Option<Manifest>,
    /// Why it cannot go on.
    pub blocked: Option<Arc<Error>>,
}

impl Flow {
    /// The instance to which the table goes over next, while the tail's still has what it needs. Both places may be taken
    /// until then: the next check makes one with what is newer still.
    fn successor(&self) -> Option<&Capture> {
        let course = Course { table: self.table.clone(), gained: self.gained(), lost: Vec::new() };
        course.servable(&self.found).map(|(capture, _)| capture)
    }

    fn gained(&self) -> Vec<Column> {
        self.wanted.columns.iter().skip(self.table.columns.len()).cloned().collect()
    }

    /// Instances of ours from which nothing will be read any more.
    fn needless(&self) -> Vec<Capture> {
        let ours = self.found.captures.iter().filter(|capture| capture.ours);
        let Some(tail) = &self.tail else {
            // Before the first batch of a generation no history is needed; only a place, if both are taken.
            let full = self.found.captures.len() >= 2 && self.found.capture(&self.wanted).is_none();
            return ours.filter(|_| full && self.opened).cloned().collect();
        };
        let current = self.found.captures.iter().find(|capture| capture.instance == tail.instance);
        let Some(current) = current.filter(|current| current.start <= tail.window.to) else { return Vec::new() };
        let successor = self.successor();
        ours.filter(|capture| *capture != current && Some(*capture) != successor).cloned().collect()
    }

    /// Name.
    pub fn name(&self) -> &TableName {
        &self.found.table.name
    }

    /// Stops it, unless something stopped it before.
    pub fn block(&mut self, error: Error) {
        self.blocked.get_or_insert(Arc::new(error.on(&self.found.table.name)));
    }
}

/// How each table goes on from what its open generation carries.
pub async fn flows<S: Source>(
    context: &Context,
    ledger: &Ledger,
    found: Vec<SourceTable>,
    names: &[TableName],
    report: &mut Report,
) -> Result<Vec<Flow>> {
    let views = ledger.views(names).await?;
    let (mut openings, mut tails) = (ledger.openings(&views).await, ledger.tails(&views).await);
    let mut refused = BTreeMap::new();
    for (table, (generation, sequence)) in views.iter().filter_map(|(table, view)| Some((table, view.tail()?))) {
        if tails.contains_key(table) {
            continue;
        }
        // A right that is missing has a name of its own.
        if let Err(error) = ledger.manifest(table, generation, sequence).await
            && error.kind() == Kind::BucketRights
        {
            refused.insert(table.clone(), error);
        }
    }
    let flow = |found: SourceTable| {
        let (now, tail) = (found.table.clone(), tails.remove(&found.table.name));
        let is_unread = tail.is_none() && views.get(&found.table.name).is_some_and(|view| view.tail().is_some());
        let mut flow =
            Flow { table: now.clone(), wanted: now, opened: false, tail, blocked: found.blocked.clone(), found };
        let opening = openings.remove(flow.name()).transpose();
        flow.opened = matches!(opening, Ok(Some(_)));
        let course = opening.and_then(|opening| {
            let before = flow.tail.as_ref().map(|tail| &tail.table).or(opening.as_ref().map(|opening| &opening.table));
            let policy = context.config.sync.on_new_column;
            before.map(|before| flow::course::<S>(before, &flow.found, flow.tail.as_ref(), policy)).transpose()
        });
        match course {
            Ok(Some(course)) => {
                for column in &course.lost {
                    let name = flow.name();
                    let message = format!(
                        "column '{column}' flows no more: it was dropped, or is excluded, or is not to be seen by the login"
                    );
                    report.finding(Finding::new(Matter::LostColumn, message).on(name));
                }
                (flow.wanted, flow.table) = (course.wanted(), course.table);
            }
            Ok(None) => {}
            Err(error) => flow.block(error),
        }
        if let Some(error) = refused.remove(flow.name()) {
            flow.block(error);
        }
        // Not to be taken for a table without a batch, whose history nobody needs.
        if is_unread {
            let message = "the newest manifest is listed and cannot be read";
            flow.block(
                Error::new(Kind::LedgerUnreadable, message)
                    .advice("Try again; if it comes to this each time, extract and load say what is wrong with it"),
            );
        }
        flow
    };
    Ok(found.into_iter().map(flow).collect())
}

/// Drops the instances of ours from which nothing is read any more: a table can have only two.
pub async fn retire_instances<S: Source>(
    source: &mut S,
    context: &Context,
    flows: &mut [Flow],
    report: &mut Report,
) -> Result<()> {
    if !context.config.source()?.enable_cdc {
        return Ok(());
    }
    for flow in flows.iter_mut().filter(|flow| flow.blocked.is_none()) {
        for capture in flow.needless() {
            match source.disable_table(flow.name(), &capture).await {
                Ok(()) => {
                    crash::after(Step::InstanceDropped)?;
                    tracing::info!(table = %flow.name(), instance = capture.instance.name, "dropped a capture instance that another has replaced");
                    flow.found.captures.retain(|kept| *kept != capture);
                }
                Err(error) if error.kind() == Kind::SourceUnreachable => return Err(error),
                Err(error) => {
                    let instance = &capture.instance.name;
                    let message =
                        format!("capture instance '{instance}' is no longer needed and could not be dropped: {error}");
                    report.finding(Finding::new(Matter::NeedlessInstance, message).on(flow.name()));
                }
            }
        }
    }
    Ok(())
}

/// Makes an instance for each table that has none that serves, and reads the catalogue again if any was made.
pub async fn enable_tables<S: Source>(
    source: &mut S,
    context: &Context,
    flows: &mut [Flow],
    report: &mut Report,
) -> Result<()> {
    let may_enable = context.config.source()?.enable_cdc;
    let owner = Owner::of(&context.config)?;
    let mut refusals = BTreeMap::new();
    for flow in flows.iter() {
        flow.found.findings.iter().for_each(|finding| report.finding(finding.clone()));
        let served = flow.found.capture(&flow.wanted).is_some() || flow.successor().is_some();
        if !may_enable || flow.blocked.is_some() || served {
            continue;
        }
        let refusal = match source.enable_table(&owner, &flow.found, &flow.wanted).await {
            Ok(()) => {
                crash::after(Step::InstanceMade)?;
                tracing::info!(table = %flow.name(), "enabled change data capture");
                None
            }
            Err(error) if error.kind() == Kind::SourceUnreachable => return Err(error),
            Err(error) => Some(error),
        };
        refusals.insert(flow.name().clone(), refusal);
    }
    if !refusals.is_empty() {
        // A rival may have enabled what was refused to us.
        let found = source.tables(&context.config).await?;
        let mut now: BTreeMap<_, _> = found.into_iter().map(|found| (found.table.name.clone(), found)).collect();
        for flow in flows.iter_mut() {
            if let Some(found) = now.remove(flow.name()) {
                flow.found = found;
            }
        }
    }
    for flow in flows.iter_mut().filter(|flow| flow.found.capture(&flow.wanted).is_none()) {
        let refusal = refusals.remove(flow.name()).flatten();
        if flow.successor().is_some() {
            continue;
        }
        let refusal = refusal.unwrap_or_else(|| {
            Error::new(Kind::NoInstance, "no capture instance has the table's columns and key")
                .advice(
                    "Set source.enable_cdc = true, or let a db_owner run sys.sp_cdc_enable_table for it; if a column it carried is gone, run 'delsert resync' for the table",
                )
                .mend(Place::Source, S::how_to_enable(&owner, &flow.found, &flow.wanted))
        });
        // What flowed goes on; extract stops where nobody will make the instance.
        if flow.tail.is_some() && flow.found.capture(&flow.table).is_some() {
            let columns: Vec<_> = flow.gained().into_iter().map(|column| column.name).collect();
            let message = format!("new columns ({}) do not flow: {refusal}", columns.join(", "));
            let mut finding = Finding::new(Matter::NewColumns, message).on(flow.name());
            finding.mend.extend(refusal.mends().iter().cloned());
            report.finding(finding);
        } else {
            flow.block(refusal);
        }
    }
    Ok(())
}
