-- The sample shop, and what the server and the database need before history is captured. Again does no harm.
-- Run by sa through sqlcmd, which ends each batch at GO.

-- Once capture is on, SQL Server refuses longer texts and binaries than this to the application; -1 is no limit.
EXEC sys.sp_configure N'max text repl size (B)', -1;
RECONFIGURE;
GO
IF DB_ID(N'shop') IS NULL CREATE DATABASE shop;
GO
-- First copies read the tables as they were at one moment.
ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
USE shop;
GO
IF SCHEMA_ID(N'Sales') IS NULL EXEC (N'CREATE SCHEMA Sales');
IF SCHEMA_ID(N'Catalog') IS NULL EXEC (N'CREATE SCHEMA Catalog');
GO
IF OBJECT_ID(N'Sales.Customers') IS NULL
BEGIN
    CREATE TABLE Sales.Customers (
        CustomerID int NOT NULL PRIMARY KEY,
        Name nvarchar(60) NOT NULL,
        Email varchar(120) NULL,
        Country nchar(2) NOT NULL,
        Credit decimal(12, 2) NOT NULL,
        Registered datetime2(3) NOT NULL,
        Notes nvarchar(max) NULL
    );
    INSERT INTO Sales.Customers (CustomerID, Name, Email, Country, Credit, Registered, Notes)
    VALUES
        (1, N'Ada Lovelace', 'ada@example.com', N'GB', 1000.00, '2024-01-02T03:04:05.007', N'Likes, commas; and "quotes"'),
        (2, N'Grace Hopper', NULL, N'US', 0.00, '2024-02-29T23:59:59.997', N''),
        (3, N'Łukasiewicz 日本 😀', 'jan@example.com', N'PL', 9999999999.99, '2024-03-01T00:00:00', NULL);
END;
GO
IF OBJECT_ID(N'Sales.Orders') IS NULL
BEGIN
    CREATE TABLE Sales.Orders (
        OrderID bigint NOT NULL PRIMARY KEY,
        CustomerID int NOT NULL,
        OrderedAt datetimeoffset(3) NOT NULL,
        Status char(1) NOT NULL,
        Freight money NOT NULL
    );
    INSERT INTO Sales.Orders (OrderID, CustomerID, OrderedAt, Status, Freight)
    VALUES
        (1, 1, '2024-03-01T10:00:00.123+02:00', 'N', 4.9900),
        (2, 1, '2024-03-02T23:30:00.000-05:00', 'S', 0.0000),
        (3, 2, '2024-03-03T00:00:00.000+00:00', 'S', 12.3456);
END;
GO
IF OBJECT_ID(N'Sales.OrderLines') IS NULL
BEGIN
    CREATE TABLE Sales.OrderLines (
        OrderID bigint NOT NULL,
        Line smallint NOT NULL,
        Sku varchar(20) NOT NULL,
        Quantity decimal(9, 3) NOT NULL,
        CONSTRAINT PK_OrderLines PRIMARY KEY (OrderID, Line)
    );
    INSERT INTO Sales.OrderLines (OrderID, Line, Sku, Quantity)
    VALUES (1, 1, 'TEA-100', 2.000), (1, 2, 'POT-1', 1.000), (2, 1, 'TEA-100', 1.000), (3, 1, 'TRAY', 0.125);
END;
GO
IF OBJECT_ID(N'Catalog.Products') IS NULL
BEGIN
    CREATE TABLE Catalog.Products (
        Sku varchar(20) NOT NULL PRIMARY KEY,
        Name nvarchar(80) NOT NULL,
        Price decimal(10, 2) NOT NULL,
        Weight float NULL
    );
    INSERT INTO Catalog.Products (Sku, Name, Price, Weight)
    VALUES ('TEA-100', N'Green tea', 9.99, 0.1), ('POT-1', N'Teapot', 24.00, 1.25), ('TRAY', N'Tray ''oak''', 19.00, NULL);
END;
GO
