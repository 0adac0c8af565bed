//! Tables as they were declared; CREATE and DROP.

use super::Session;
use crate::redshift::declared::{Declared, DeclaredColumn};
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::lexer;
use crate::redshift::name::{Name, Names, literal, quoted};
use crate::redshift::statement::cursor::Cursor;
use crate::redshift::statement::ddl::{ColumnDefinition, CreateTable, CreateTableAs, Drop};
use crate::redshift::statement::physical::Attributes;
use crate::redshift::types::Type;
use crate::redshift::wire;

/// A table that is there.
#[derive(Debug, Clone)]
pub(in crate::redshift) struct Table {
    pub(in crate::redshift) number: u32,
    /// Schema and name, as the client knows them.
    pub(in crate::redshift) place: (String, String),
    pub(in crate::redshift) declared: Declared,
    pub(in crate::redshift) columns: Vec<TableColumn>,
}

/// A column of it.
#[derive(Debug, Clone)]
pub(in crate::redshift) struct TableColumn {
    pub(in crate::redshift) number: i16,
    pub(in crate::redshift) name: String,
    pub(in crate::redshift) column_type: Type,
    pub(in crate::redshift) not_null: bool,
    /// The default below.
    pub(in crate::redshift) default: Option<String>,
    pub(in crate::redshift) is_identity: bool,
}

impl Table {
    pub(in crate::redshift) fn column(&self, name: &str) -> Result<&TableColumn, SqlError> {
        let missing =
            || SqlError::new("42703", format!("column \"{name}\" of relation \"{}\" does not exist", self.place.1));
        self.columns.iter().find(|column| column.name == name).ok_or_else(missing)
    }
}

impl Session {
    /// Reads a table's form.
    pub(in crate::redshift) async fn table(&mut self, name: &Name) -> Outcome<Table> {
        self.note_snapshot();
        let relation = literal(&name.quoted());
        let found = self
            .below
            .rows(&format!(
                "SELECT c.oid, redshift_standin.full_name(n.nspname), redshift_standin.full_name(c.relname), d.declared \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 LEFT JOIN redshift_standin.\"$declared\" d ON d.relid = c.oid \
                 WHERE c.oid = {relation}::regclass AND c.relkind = 'r'"
            ))
            .await?;
        let Some([Some(number), Some(schema), Some(table), declared]) = found.first().map(Vec::as_slice) else {
            return Err(SqlError::new("42809", format!("\"{name}\" is not a table")).into());
        };
        let declared = declared.as_deref().unwrap_or("{}");
        let declared = serde_json::from_str(declared)
            .map_err(|_| SqlError::unmodelled("a table that was made without the stand-in"))?;
        let mut table = Table {
            number: number.parse().unwrap_or_default(),
            place: (schema.clone(), table.clone()),
            declared,
            columns: Vec::new(),
        };
        let rows = self
            .below
            .rows(&format!(
                "SELECT a.attnum, redshift_standin.full_name(a.attname), a.attnotnull, \
                 pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '' FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d \
                 ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
                 WHERE a.attrelid = {number} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
            ))
            .await?;
        for row in rows {
            let [Some(number), Some(column), not_null, default, identity] = row.as_slice() else { continue };
            let number = number.parse().unwrap_or_default();
            let column_type = table.declared.columns.get(&number).map_or("", |column| column.column_type.as_str());
            table.columns.push(TableColumn {
                number,
                name: column.clone(),
                column_type: parse_type(column_type)?,
                not_null: not_null.as_deref() == Some("t"),
                default: default.clone(),
                is_identity: identity.as_deref() == Some("t"),
            });
        }
        Ok(table)
    }

    /// Schema and name of a relation, if it is there.
    pub(super) async fn place(&mut self, name: &Name) -> Outcome<Option<(String, String)>> {
        self.note_snapshot();
        let sql = format!(
            "SELECT redshift_standin.full_name(n.nspname), redshift_standin.full_name(c.relname) FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({})",
            literal(&name.quoted())
        );
        let rows = self.below.rows(&sql).await?;
        Ok(rows.first().and_then(|row| Some((row[0].clone()?, row[1].clone()?))))
    }

    /// Keeps what a table was declared with.
    pub(super) async fn keep(&mut self, name: &Name, declared: &Declared) -> Outcome<()> {
        let text = serde_json::to_string(declared).expect("names and numbers can be written");
        let sql = format!("COMMENT ON CONSTRAINT redshift_standin ON {} IS {}", name.quoted(), literal(&text));
        self.below.run(&sql).await
    }

    pub(super) async fn create_table(&mut self, table: &CreateTable) -> Outcome<()> {
        self.begin_implicit().await?;
        if table.if_not_exists && self.place(&table.name).await?.is_some() {
            let told = format!("Relation \"{}\" already exists and will be skipped", table.name.name);
            wire::notice(&mut self.out, "INFO", &SqlError::new("00000", told));
            self.complete("CREATE TABLE");
            return Ok(());
        }
        let mut whole = table.clone();
        if let Some((parent, defaults)) = &table.like {
            let parent = self.table(parent).await?;
            inherit(&mut whole, &parent, *defaults);
        }
        self.make(&whole).await?;
        self.complete("CREATE TABLE");
        Ok(())
    }

    async fn make(&mut self, table: &CreateTable) -> Outcome<()> {
        if let Some(twice) = twice(&table.columns) {
            return Err(SqlError::new("42701", format!("column \"{twice}\" specified more than once")).into());
        }
        self.note_snapshot();
        let mut parts: Vec<_> = table.columns.iter().map(column_below).collect();
        for (place, column) in table.columns.iter().enumerate() {
            parts.extend(column.column_type.check(&column.name, place + 1));
        }
        parts.push("CONSTRAINT redshift_standin CHECK (true)".to_owned());
        let kind = if table.temporary { "TEMPORARY " } else { "" };
        self.below.run(&format!("CREATE {kind}TABLE {} ({})", table.name.quoted(), parts.join(", "))).await?;
        self.keep(&table.name, &declared(table)).await?;
        self.transaction.forget_locks();
        if let Some(place) = self.place(&table.name).await? {
            self.transaction.changes.created.insert(place);
        }
        Ok(())
    }

    pub(super) async fn create_table_as(&mut self, table: &CreateTableAs) -> Outcome<()> {
        self.begin_implicit().await?;
        self.look_at(&table.query.relations)?;
        let described = self.columns_of(&table.query.sql).await?;
        if !table.columns.is_empty() && table.columns.len() != described.len() {
            return Err(SqlError::new("42601", "the query has another number of columns than were named").into());
        }
        let named = |place: usize, name: String| table.columns.get(place).cloned().unwrap_or(name);
        let columns = described.into_iter().enumerate().map(|(place, (name, column_type))| ColumnDefinition {
            name: named(place, name),
            column_type,
            default: None,
            not_null: false,
            identity: None,
            encode: None,
            is_dist_key: false,
            is_sort_key: false,
            case_insensitive: false,
        });
        let created = CreateTable {
            name: table.name.clone(),
            temporary: table.temporary,
            if_not_exists: false,
            columns: columns.collect(),
            keys: Vec::new(),
            like: None,
            attributes: table.attributes.clone(),
        };
        self.make(&created).await?;
        self.below.run(&format!("INSERT INTO {} {}", table.name.quoted(), table.query.sql)).await?;
        self.complete("SELECT");
        Ok(())
    }

    pub(super) async fn drop_relations(&mut self, drop: &Drop) -> Outcome<()> {
        self.begin_implicit().await?;
        for name in &drop.names {
            self.look_at(std::slice::from_ref(name))?;
            if let Some(place) = self.place(name).await? {
                self.transaction.changes.created.remove(&place);
                if drop.view {
                    self.transaction.changes.views.insert(place.clone(), None);
                }
                self.transaction.changes.dropped.insert(place);
            }
        }
        let (kind, tag) = if drop.view { ("VIEW", "DROP VIEW") } else { ("TABLE", "DROP TABLE") };
        let guard = if drop.if_exists { "IF EXISTS " } else { "" };
        let cascade = if drop.cascade { " CASCADE" } else { "" };
        let names: Vec<_> = drop.names.iter().map(Name::quoted).collect();
        self.below.run(&format!("DROP {kind} {guard}{}{cascade}", names.join(", "))).await?;
        self.transaction.forget_locks();
        self.complete(tag);
        Ok(())
    }
}

/// Reads a type as `format_type` tells it.
pub(super) fn parse_type(text: &str) -> Result<Type, SqlError> {
    if text.is_empty() {
        return Err(SqlError::unmodelled("a table that was made without the stand-in"));
    }
    Type::parse(&mut Cursor::new(&lexer::tokens(text, Names::default())?))
}

/// A column's definition below.
pub(super) fn column_below(column: &ColumnDefinition) -> String {
    let mut text = format!("{} {}", quoted(&column.name), column.column_type.below());
    if column.case_insensitive {
        text.push_str(" COLLATE redshift_standin.case_insensitive");
    }
    if let Some(default) = &column.default {
        text.extend([" DEFAULT (", default, ")"]);
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    if let Some(identity) = column.identity {
        let kind = if identity.by_default { "BY DEFAULT" } else { "ALWAYS" };
        let (low, high) = match column.column_type {
            Type::Integer => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let (seed, step) = (identity.seed, identity.step);
        let sequence = format!("START WITH {seed} INCREMENT BY {step} MINVALUE {low} MAXVALUE {high}");
        text.extend([" GENERATED ", kind, " AS IDENTITY (", &sequence, ")"]);
    }
    text
}

fn twice(columns: &[ColumnDefinition]) -> Option<&str> {
    let names = columns.iter().map(|column| column.name.as_str());
    names
        .enumerate()
        .find(|(place, name)| columns[..*place].iter().any(|other| other.name == *name))
        .map(|(_, name)| name)
}

/// What is kept of a column's declaration.
pub(super) fn declared_column(column: &ColumnDefinition) -> DeclaredColumn {
    DeclaredColumn {
        column_type: column.column_type.to_string(),
        size: if let Type::Varbyte(size) = column.column_type { Some(size) } else { None },
        encode: column.encode.clone(),
        dist: false,
        sort: 0,
        identity: column.identity,
        case_insensitive: column.case_insensitive,
    }
}

fn declared(table: &CreateTable) -> Declared {
    let mut declared = Declared { keys: table.keys.clone(), diststyle: "AUTO(ALL)".to_owned(), ..Declared::default() };
    for (column, number) in table.columns.iter().zip(1..) {
        declared.columns.insert(number, declared_column(column));
    }
    let number =
        |name: &str| (1..).zip(&table.columns).find(|(_, column)| column.name == name).map(|(number, _)| number);
    distribute(&mut declared, &table.attributes, &number);
    declared
}

/// Applies DISTSTYLE, DISTKEY and SORTKEY.
pub(super) fn distribute(declared: &mut Declared, attributes: &Attributes, number: &dyn Fn(&str) -> Option<i16>) {
    if let Some(key) = &attributes.dist_key {
        declared.distribute_by(number(key), &format!("KEY({key})"));
    } else if let Some(style) = &attributes.dist_style {
        let style = if style == "auto" { "AUTO(ALL)".to_owned() } else { style.to_ascii_uppercase() };
        declared.distribute_by(None, &style);
    }
    if !attributes.sort_key.is_empty() {
        declared.interleaved = attributes.interleaved;
        declared.columns.values_mut().for_each(|column| column.sort = 0);
        for (place, key) in (1..).zip(&attributes.sort_key) {
            // As the catalogue tells interleaved keys: with alternating signs.
            let place = if attributes.interleaved && place % 2 == 0 { -place } else { place };
            if let Some(column) = number(key).and_then(|number| declared.columns.get_mut(&number)) {
                column.sort = place;
            }
        }
    }
}

/// LIKE: NOT NULL, distribution and sort keys come along, keys do not, defaults where asked for.
fn inherit(table: &mut CreateTable, parent: &Table, defaults: bool) {
    let mut columns: Vec<_> = parent
        .columns
        .iter()
        .map(|column| {
            let declared = parent.declared.columns.get(&column.number).cloned().unwrap_or_default();
            ColumnDefinition {
                name: column.name.clone(),
                column_type: column.column_type,
                default: column.default.clone().filter(|_| defaults),
                not_null: column.not_null,
                identity: None,
                encode: declared.encode,
                is_dist_key: declared.dist,
                is_sort_key: declared.sort != 0,
                case_insensitive: declared.case_insensitive,
            }
        })
        .collect();
    let attributes = &mut table.attributes;
    if attributes.dist_key.is_none() && attributes.dist_style.is_none() {
        attributes.dist_key = columns.iter().find(|column| column.is_dist_key).map(|column| column.name.clone());
        attributes.dist_style = match parent.declared.diststyle.as_str() {
            "EVEN" => Some("even".to_owned()),
            "ALL" => Some("all".to_owned()),
            _ => None,
        };
    }
    if attributes.sort_key.is_empty() {
        let sort = |name: &str| {
            let column = parent.columns.iter().find(|column| column.name == name);
            column.and_then(|column| parent.declared.columns.get(&column.number)).map_or(0, |column| column.sort.abs())
        };
        let mut keys: Vec<_> =
            columns.iter().filter(|column| column.is_sort_key).map(|column| column.name.clone()).collect();
        keys.sort_by_key(|name| sort(name));
        attributes.sort_key = keys;
        attributes.interleaved = parent.declared.interleaved;
    }
    columns.append(&mut table.columns);
    table.columns = columns;
}
