//! Security policies.

use super::{NAME, Sight, View, WORD, bit, columns, int, text};
use crate::engine::catalog::Policy;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "security_policies", columns: policy_columns, rows: policies, lasting: false },
    View { schema: "sys", name: "security_predicates", columns: predicate_columns, rows: predicates, lasting: false },
];

/// The policies whose definition the login may see.
fn seen<'a>(sight: &'a Sight<'_>) -> impl Iterator<Item = &'a Policy> {
    let environment = sight.environment;
    let sees = environment.is_member_of("db_owner")
        || environment.granted("VIEW DEFINITION", &[0])
        || environment.granted("ALTER ANY SECURITY POLICY", &[0]);
    environment.catalog.state.policies.iter().filter(move |_| sees && sight.user)
}

fn policy_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("object_id", SqlType::Int),
        ("schema_id", SqlType::Int),
        ("type_desc", WORD),
        ("is_enabled", SqlType::Bit),
        ("is_not_for_replication", SqlType::Bit),
    ])
}

fn policies(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let row = |policy: &Policy| {
        vec![
            text(&policy.name),
            int(policy.id),
            int(sight.schema_id(&policy.schema)),
            text("SECURITY_POLICY"),
            bit(policy.enabled),
            bit(false),
        ]
    };
    seen(sight).map(row).collect()
}

fn predicate_columns() -> Vec<Column> {
    columns(&[
        ("object_id", SqlType::Int),
        ("security_predicate_id", SqlType::Int),
        ("target_object_id", SqlType::Int),
        ("predicate_definition", SqlType::NVarChar(None)),
        ("predicate_type", SqlType::Int),
        ("predicate_type_desc", WORD),
    ])
}

fn predicates(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let row = |policy: &Policy| {
        vec![int(policy.id), int(1), int(policy.table), text("([dbo].[f]())"), int(0), text("FILTER")]
    };
    seen(sight).map(row).collect()
}
