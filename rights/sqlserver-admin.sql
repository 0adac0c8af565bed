-- The login of [source.admin]: it has check enable tables and drop instances, and extract purge history.
--
-- Run by a sysadmin on the source's server, before sqlserver-reader.sql; again does no harm.
-- Replace <database>, <admin> and <password>, leaving the brackets and quotes around them; a ] in brackets and a ' in quotes
-- is doubled. Azure SQL Database takes CREATE LOGIN only alone in its batch, and knows no USE: run that statement in master,
-- without the IF before it, and the rest in the database.

-- The login, which must exist before a user can stand for it.
IF SUSER_ID(N'<admin>') IS NULL CREATE LOGIN [<admin>] WITH PASSWORD = N'<password>';

USE [<database>];

-- Change data capture for the database, which a sysadmin alone may enable: done here, so that the login need not be one.
-- On Amazon RDS in its place: EXEC msdb.dbo.rds_cdc_enable_db N'<database>';
IF EXISTS (SELECT 1 FROM sys.databases WHERE name = DB_NAME() AND is_cdc_enabled = 0) EXEC sys.sp_cdc_enable_db;

-- Lets the login into the database.
IF DATABASE_PRINCIPAL_ID(N'<admin>') IS NULL CREATE USER [<admin>] FOR LOGIN [<admin>];

-- sys.sp_cdc_enable_table, sys.sp_cdc_disable_table and sys.sp_cdc_cleanup_change_table ask for this role and no less.
ALTER ROLE db_owner ADD MEMBER [<admin>];
