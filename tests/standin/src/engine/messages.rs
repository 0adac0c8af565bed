//! The errors that a test may order: reference, section 13.

use crate::value::SqlError;

/// An error as the server raises it.
pub struct Known {
    number: i32,
    severity: u8,
    /// Whether the connection ends with it.
    pub closes: bool,
    text: &'static str,
}

const fn stays(number: i32, severity: u8, text: &'static str) -> Known {
    Known { number, severity, closes: false, text }
}

const fn closes(number: i32, severity: u8, text: &'static str) -> Known {
    Known { number, severity, closes: true, text }
}

/// 10053, 10054 and 10060 are numbers that clients give to a broken connection; here the server says them, so that a test
/// can tell which one it ordered. Severities of Azure's own are assumed where its pages give none.
const KNOWN: &[Known] = &[
    stays(208, 16, "Invalid object name 'dbo.Things'."),
    stays(229, 14, "The SELECT permission was denied on the object 'Things', database 'shop', schema 'dbo'."),
    closes(
        615,
        21,
        "Could not find database ID 5, name 'shop'. The database may be offline. Wait a few minutes and try again.",
    ),
    stays(701, 17, "There is insufficient system memory in resource pool 'default' to run this query."),
    stays(926, 14, "Database 'shop' cannot be opened. It has been marked SUSPECT by recovery."),
    closes(
        978,
        14,
        "The target database ('shop') is in an availability group and is currently accessible for connections when the application intent is set to read only. For more information about application intent, see SQL Server Books Online.",
    ),
    stays(
        1204,
        19,
        "The instance of the SQL Server Database Engine cannot obtain a LOCK resource at this time. Rerun your statement when there are fewer active users.",
    ),
    stays(
        1205,
        13,
        "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.",
    ),
    stays(1222, 16, "Lock request time out period exceeded."),
    stays(
        3952,
        16,
        "Snapshot isolation transaction failed accessing database 'shop' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.",
    ),
    stays(
        3958,
        16,
        "Transaction aborted when accessing versioned row. Requested versioned row was not found. Your tempdb is probably out of space.",
    ),
    stays(
        3960,
        16,
        "Snapshot isolation transaction aborted due to update conflict. Retry the transaction or change the isolation level for the update/delete statement.",
    ),
    stays(
        3961,
        16,
        "Snapshot isolation transaction failed because the object accessed by the statement has been modified by a DDL statement in another concurrent transaction since the start of this transaction.",
    ),
    stays(
        3966,
        17,
        "Transaction is rolled back when accessing version store. It was earlier marked as victim when the version store was shrunk due to insufficient space in tempdb.",
    ),
    stays(
        3967,
        17,
        "Insufficient space in tempdb to hold row versions.  Need to shrink the version store to free up some space in tempdb. Transaction (id=1 xsn=1 spid=51 elapsed_time=1) has been marked as victim and it will be rolled back if it accesses the version store.",
    ),
    stays(3971, 16, "The server failed to resume the transaction. Desc:3800000001."),
    stays(
        4221,
        16,
        "Login to read-secondary failed due to long wait on 'HADR_DATABASE_WAIT_FOR_TRANSITION_TO_VERSIONING'.",
    ),
    closes(4060, 11, "Cannot open database \"shop\" requested by the login. The login failed."),
    closes(18_456, 14, "Login failed for user 'sa'."),
    stays(22_901, 16, "The database 'shop' is not enabled for Change Data Capture."),
    stays(
        22_910,
        16,
        "The cleanup request for database 'shop' failed. The database is not enabled for Change Data Capture.",
    ),
    closes(
        10_053,
        20,
        "A transport-level error has occurred when receiving results from the server. (provider: TCP Provider, error: 0 - An established connection was aborted by the software in your host machine.)",
    ),
    closes(
        10_054,
        20,
        "A transport-level error has occurred when receiving results from the server. (provider: TCP Provider, error: 0 - An existing connection was forcibly closed by the remote host.)",
    ),
    closes(
        10_060,
        20,
        "A network-related or instance-specific error occurred while establishing a connection to SQL Server. (provider: TCP Provider, error: 0 - A connection attempt failed because the connected party did not properly respond after a period of time.)",
    ),
    closes(10_928, 20, "Resource ID: 1. The request limit for the database is 60 and has been reached."),
    closes(
        10_929,
        20,
        "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 60 and the current usage for the database is 60. However, the server is currently too busy to support requests greater than 0 for this database. Please try again later.",
    ),
    closes(40_143, 16, "The service has encountered an error processing your request. Please try again."),
    closes(
        40_197,
        17,
        "The service has encountered an error processing your request. Please try again. Error code 4221.",
    ),
    closes(
        40_501,
        20,
        "The service is currently busy. Retry the request after 10 seconds. Incident ID: 00000000-0000-0000-0000-000000000000. Code: 131075",
    ),
    closes(40_540, 20, "The service has encountered an error processing your request. Please try again."),
    closes(
        40_613,
        17,
        "Database 'shop' on server 'standin' is not currently available.  Please retry the connection later.",
    ),
    closes(
        40_615,
        14,
        "Cannot open server 'standin' requested by the login. Client with IP address '127.0.0.1' is not allowed to access the server.",
    ),
    closes(42_108, 16, "Can not connect to the SQL pool since it is paused. Please resume the SQL pool and try again."),
    closes(42_109, 16, "The SQL pool is warming up. Please try again."),
    stays(
        49_918,
        16,
        "Cannot process request. Not enough resources to process request. Please retry your request later.",
    ),
    stays(
        49_919,
        16,
        "Cannot process create or update request. Too many create or update operations in progress for subscription \"1\".",
    ),
    stays(49_920, 16, "Cannot process request. Too many operations in progress for subscription \"1\"."),
];

/// The error of that number.
pub fn find(number: i64) -> Option<&'static Known> {
    KNOWN.iter().find(|known| i64::from(known.number) == number)
}

impl Known {
    /// As it is raised.
    pub fn error(&self) -> SqlError {
        SqlError::new(self.number, self.text).severity(self.severity)
    }
}
