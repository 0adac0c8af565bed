//! Views. One that is bound late is below a view of nothing, so that it has name, owner and rights; whoever reads it
//! reads its query instead.

use std::sync::Arc;

use super::Session;
use crate::redshift::error::{Failure, Outcome, SqlError};
use crate::redshift::lexer::{self, Token};
use crate::redshift::name::{Name, Names, literal, quoted};
use crate::redshift::server::Shared;
use crate::redshift::statement::alter::Change;
use crate::redshift::statement::ddl::CreateView;
use crate::redshift::statement::query::{self, LateView};
use crate::redshift::statement::{self, Statement};

/// The column that the view of nothing has: its comment is the query.
const COLUMN: &str = "redshift_standin";

impl Session {
    pub(super) fn parse(&self, tokens: &[Token]) -> Result<Statement, SqlError> {
        let mut statement = statement::parse(tokens)?;
        if let Statement::Select(relayed) | Statement::Write(query::Write { relayed, .. }) = &statement {
            if relayed.relations.iter().any(|relation| self.late_view(relation).is_some()) {
                statement = query::parse_with(tokens, &|name| self.late_view(name))?;
            }
        } else if let Statement::CreateView(CreateView { query, late: None, .. }) = &statement
            && query.relations.iter().any(|relation| self.late_view(relation).is_some())
        {
            return Err(SqlError::unmodelled("a view that is bound now of one that is bound late"));
        }
        if let Statement::Select(relayed) | Statement::Write(query::Write { relayed, .. }) = &statement
            && let Some(name) = &relayed.provisioned
            && self.shared.settings.serverless
        {
            return Err(SqlError::no_relation(name));
        }
        Ok(statement)
    }

    fn late_view(&self, name: &Name) -> Option<Arc<LateView>> {
        let schemas = name.schema.as_slice();
        let schemas = if schemas.is_empty() { self.variables.search_path() } else { schemas };
        schemas.iter().find_map(|schema| {
            let place = (schema.clone(), name.name.clone());
            let own = self.transaction.changes.views.get(&place).cloned();
            own.unwrap_or_else(|| self.shared.registry.view(&place))
        })
    }

    pub(super) async fn create_view(&mut self, view: &CreateView) -> Outcome<()> {
        self.begin_implicit().await?;
        if view.late.is_none() {
            self.look_at(&view.query.relations)?;
        }
        self.note_snapshot();
        let replace = if view.or_replace { "OR REPLACE " } else { "" };
        let name = view.name.quoted();
        if let Some(query) = &view.late {
            let columns: Vec<_> = view.columns.iter().map(|column| quoted(column)).collect();
            let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
            let text = format!("{columns} AS {} WITH NO SCHEMA BINDING", lexer::render(query));
            self.below
                .run(&format!(
                    "CREATE {replace}VIEW {name} AS SELECT NULL::text AS {COLUMN}; COMMENT ON COLUMN {name}.{COLUMN} IS {}",
                    literal(text.trim_start())
                ))
                .await?;
            let late = Arc::new(LateView { columns: view.columns.clone(), query: query.clone() });
            if let Some(place) = self.place(&view.name).await? {
                self.transaction.changes.views.insert(place, Some(late));
            }
        } else {
            let columns: Vec<_> = view.columns.iter().map(|column| quoted(column)).collect();
            let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
            self.below.run(&format!("CREATE {replace}VIEW {name}{columns} AS {}", view.query.sql)).await?;
        }
        self.complete("CREATE VIEW");
        Ok(())
    }

    pub(super) async fn alter_view(&mut self, name: &Name, change: &Change) -> Outcome<()> {
        let what = match change {
            Change::Rename(to) => format!("RENAME TO {}", quoted(to)),
            Change::Owner(user) => format!("OWNER TO {}", quoted(user)),
            _ => return Err(SqlError::new("42809", format!("\"{name}\" is not a table")).into()),
        };
        let late = self.late_view(name);
        let place = self.place(name).await?;
        self.below.run(&format!("ALTER VIEW {} {what}", name.quoted())).await?;
        if let (Some(late), Some(place), Change::Rename(to)) = (late, place, change) {
            let views = &mut self.transaction.changes.views;
            views.insert((place.0.clone(), to.clone()), Some(late));
            views.insert(place, None);
        }
        self.complete("ALTER TABLE");
        Ok(())
    }
}

/// Learns of the late-binding views that an earlier stand-in made.
pub(in crate::redshift) async fn learn(shared: &Shared) -> Outcome<()> {
    let sql = "SELECT redshift_standin.full_name(nspname), redshift_standin.full_name(relname), definition \
               FROM redshift_standin.\"$late_views\"";
    let rows = shared.own.lock().await.rows(sql).await?;
    for row in rows {
        let [Some(schema), Some(name), Some(text)] = row.as_slice() else { continue };
        let text = format!("CREATE VIEW {} {text}", quoted(name));
        let tokens = lexer::tokens(&text, Names { case_sensitive: true })?;
        if let Statement::CreateView(CreateView { columns, late: Some(query), .. }) = statement::parse(&tokens)? {
            shared.registry.know((schema.clone(), name.clone()), LateView { columns, query });
        }
    }
    Ok::<(), Failure>(())
}
