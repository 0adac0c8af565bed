-- The login of [source]: check and extract read by it, and need no more where [source.admin] enables and purges, or where
-- others do (enable_cdc = false, purge = "never").
--
-- Run by a sysadmin on the source's server, once the database is enabled (sqlserver-admin.sql does it); again after the
-- first check, since SQL Server makes msdb.dbo.cdc_jobs with the first table that is captured.
-- Replace <database>, <schema>, <reader> and <password>, leaving the brackets and quotes around them; a ] in brackets and a '
-- in quotes is doubled. Azure SQL Database takes CREATE LOGIN only alone in its batch, and knows neither USE nor msdb: run
-- that statement in master, without the IF before it, and the rest in the database.

-- The login, which must exist before a user can stand for it.
IF SUSER_ID(N'<reader>') IS NULL CREATE LOGIN [<reader>] WITH PASSWORD = N'<password>';

USE [<database>];

-- Lets the login into the database.
IF DATABASE_PRINCIPAL_ID(N'<reader>') IS NULL CREATE USER [<reader>] FOR LOGIN [<reader>];

-- Shows the schema's tables in the catalogue, copies them, and has sys.fn_cdc_get_min_lsn answer. Once for each schema; or
-- for single tables in its place: GRANT SELECT ON [<schema>].[<table>] TO [<reader>];
GRANT SELECT ON SCHEMA::[<schema>] TO [<reader>];

-- Capture instances, changes, commit times.
GRANT SELECT ON SCHEMA::cdc TO [<reader>];

-- Whether a security policy hides rows; without it check says that it does not know.
GRANT VIEW DEFINITION TO [<reader>];

-- Only for capture instances of others that have a gating role:
-- ALTER ROLE [<gating_role>] ADD MEMBER [<reader>];

USE msdb;

-- Lets the login be granted something there.
IF DATABASE_PRINCIPAL_ID(N'<reader>') IS NULL CREATE USER [<reader>] FOR LOGIN [<reader>];

-- Whether the jobs of capture and cleanup are there, enabled and running; without these check says that it does not know.
GRANT SELECT ON dbo.sysjobs TO [<reader>];
GRANT SELECT ON dbo.sysjobactivity TO [<reader>];
GRANT SELECT ON dbo.syssessions TO [<reader>];

-- How long history is kept. Not needed where source.retention tells it.
IF OBJECT_ID(N'dbo.cdc_jobs') IS NOT NULL GRANT SELECT ON dbo.cdc_jobs TO [<reader>];

USE master;

-- Whether SQL Server Agent runs, and capture lags or fails. A right on the whole server: where that is too much, and on
-- Azure, GRANT VIEW DATABASE STATE TO [<reader>] in the database tells the latter, and check says what it does not know.
GRANT VIEW SERVER STATE TO [<reader>];
