//! What the server tells of a row that COPY did not take: file, line, column and reason; values only where that is asked
//! for.

use tokio_postgres::{GenericClient, Row};

/// `SYS_LOAD_ERROR_DETAIL`, on provisioned clusters and Serverless alike. Its texts are filled up with blanks.
const DETAIL: &str = "SELECT CAST(TRIM(file_name) AS varchar(1024)), CAST(line_number AS bigint), \
       CAST(TRIM(column_name) AS varchar(128)), CAST(TRIM(column_type) AS varchar(64)), \
       CAST(TRIM(column_length) AS varchar(32)), CAST(error_code AS integer), \
       CAST(TRIM(error_message) AS varchar(1024)), CAST('' AS varchar(1)) \
     FROM sys_load_error_detail WHERE query_id = pg_last_copy_id() ORDER BY start_time, line_number LIMIT 1";

/// `STL_LOAD_ERRORS`, on provisioned clusters only, which holds the field, too.
const OLDER: &str = "SELECT CAST(TRIM(filename) AS varchar(1024)), CAST(line_number AS bigint), \
       CAST(TRIM(colname) AS varchar(128)), CAST(TRIM(type) AS varchar(64)), \
       CAST(TRIM(col_length) AS varchar(32)), CAST(err_code AS integer), \
       CAST(TRIM(err_reason) AS varchar(1024)), CAST(TRIM(raw_field_value) AS varchar(1024)) \
     FROM stl_load_errors WHERE query = pg_last_copy_id() ORDER BY starttime, line_number LIMIT 1";

/// What the last COPY of the session met, in words; `None` where nothing is told, or may be read.
pub async fn of_last_copy(client: &impl GenericClient, log_values: bool) -> Option<String> {
    // The field itself stands in the older view alone.
    let order = if log_values { [OLDER, DETAIL] } else { [DETAIL, OLDER] };
    for query in order {
        let found = client.query_typed(query, &[]).await.ok();
        if let Some(row) = found.as_ref().and_then(|rows| rows.first()) {
            return words(row, log_values).ok();
        }
    }
    None
}

fn words(row: &Row, log_values: bool) -> Result<String, tokio_postgres::Error> {
    let text = |at: usize| row.try_get::<_, Option<String>>(at).map(Option::unwrap_or_default);
    let (file, line, column) = (text(0)?, row.try_get::<_, Option<i64>>(1)?.unwrap_or_default(), text(2)?);
    let (sql_type, length, code) = (text(3)?, text(4)?, row.try_get::<_, Option<i32>>(5)?.unwrap_or_default());
    let (reason, value) = (text(6)?, text(7)?);
    let reason = if log_values { reason } else { without_values(&reason) };
    let length = if length.is_empty() || length == "0" { length } else { format!("({length})") };
    let value = if log_values && !value.is_empty() { format!(", value '{value}'") } else { String::new() };
    let column = if column.is_empty() { String::new() } else { format!(", column '{column}' ({sql_type}{length})") };
    Ok(format!("'{file}', line {line}{column}: {reason} (code {code}){value}"))
}

/// A reason with what it quotes left out.
fn without_values(reason: &str) -> String {
    let (Some(open), Some(close)) = (reason.find('\''), reason.rfind('\'')) else { return reason.to_owned() };
    if open == close {
        reason[..open].trim_end().to_owned()
    } else {
        format!("{}'…'{}", &reason[..open], &reason[close + 1..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out() {
        for (reason, expected) in [
            ("Invalid digit, Value 'x', Pos 0, Type: Integer", "Invalid digit, Value '…', Pos 0, Type: Integer"),
            ("Invalid digit, Value ''', Pos 0", "Invalid digit, Value '…', Pos 0"),
            ("broken 'x", "broken"),
            ("String length exceeds DDL length", "String length exceeds DDL length"),
        ] {
            assert_eq!(without_values(reason), expected);
        }
    }
}
