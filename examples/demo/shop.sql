-- A small shop: several schemas, keys of one and two columns, and most types that SQL Server has.
CREATE SCHEMA Sales;
GO
CREATE SCHEMA Catalog;
GO
CREATE TABLE Sales.Customers (
    CustomerID int IDENTITY(1, 1) NOT NULL PRIMARY KEY,
    Name nvarchar(60) NOT NULL,
    Email varchar(120) NULL,
    Country nchar(2) NOT NULL,
    Active bit NOT NULL,
    Rating tinyint NULL,
    Credit decimal(12, 2) NOT NULL,
    Balance money NULL,
    Birthday date NULL,
    Registered datetime NOT NULL,
    Notes nvarchar(max) NULL,
    Token uniqueidentifier NOT NULL
);
CREATE TABLE Sales.Orders (
    OrderID bigint NOT NULL PRIMARY KEY,
    CustomerID int NOT NULL,
    OrderedAt datetimeoffset(3) NOT NULL,
    ShipBy smalldatetime NULL,
    Status char(1) NOT NULL,
    Priority smallint NOT NULL,
    Freight smallmoney NOT NULL
);
CREATE TABLE Sales.OrderLines (
    OrderID bigint NOT NULL,
    Line smallint NOT NULL,
    ProductID int NOT NULL,
    Quantity decimal(9, 3) NOT NULL,
    Discount real NULL,
    Total money NOT NULL,
    CONSTRAINT PK_OrderLines PRIMARY KEY (OrderID, Line)
);
CREATE TABLE Catalog.Products (
    ProductID int NOT NULL PRIMARY KEY,
    Name nvarchar(80) NOT NULL,
    Weight float NULL,
    Attributes xml NULL,
    Changed datetime2(7) NOT NULL,
    OnSaleFrom time(7) NULL
);
CREATE TABLE Catalog.Prices (
    Sku varchar(20) NOT NULL,
    ValidFrom date NOT NULL,
    Price decimal(38, 10) NOT NULL,
    Currency char(3) NOT NULL,
    CONSTRAINT PK_Prices PRIMARY KEY (Sku, ValidFrom)
);
CREATE TABLE Catalog.Attachments (
    AttachmentID uniqueidentifier NOT NULL PRIMARY KEY,
    Name nvarchar(260) NOT NULL,
    Content varbinary(max) NULL,
    Checksum binary(4) NULL,
    Version rowversion NOT NULL
);
GO
INSERT INTO Sales.Customers (Name, Email, Country, Active, Rating, Credit, Balance, Birthday, Registered, Notes, Token)
VALUES
    (N'Ada Lovelace', 'ada@example.com', N'GB', 1, 255, 1000.00, 12.5000, '1815-12-10', '2024-01-02T03:04:05.007', N'Likes, commas; and "quotes"', '6F9619FF-8B86-D011-B42D-00C04FC964FF'),
    (N'Grace Hopper', NULL, N'US', 1, 0, 0.00, NULL, '1906-12-09', '2024-02-29T23:59:59.997', N'', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'),
    (N'Łukasiewicz 日本 😀', 'jan@example.com', N'PL', 0, NULL, 9999999999.99, -922337203685477.5808, NULL, '1753-01-01T00:00:00', N'Two
lines, a tab	and \N that is no NULL', '00000000-0000-0000-0000-000000000001'),
    (N'Edsger Dijkstra', 'edsger@example.com', N'NL', 1, 7, -0.01, 922337203685477.5807, '1930-05-11', '9999-12-31T23:59:59.997', NULL, 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF');
INSERT INTO Sales.Orders (OrderID, CustomerID, OrderedAt, ShipBy, Status, Priority, Freight)
VALUES
    (9000000000001, 1, '2024-03-01T10:00:00.123+02:00', '2024-03-05T12:30:00', 'N', 1, 4.9900),
    (9000000000002, 1, '2024-03-02T23:30:00.000-05:00', NULL, 'S', -32768, 0.0000),
    (9000000000003, 2, '2024-03-03T00:00:00.000+00:00', '2024-03-04T00:00:00', 'S', 0, 214748.3647),
    (9000000000004, 4, '2024-03-04T11:11:11.111+05:45', NULL, 'N', 32767, 12.3456);
INSERT INTO Sales.OrderLines (OrderID, Line, ProductID, Quantity, Discount, Total)
VALUES
    (9000000000001, 1, 10, 2.000, NULL, 19.9800),
    (9000000000001, 2, 20, 0.125, 0.1, 3.0000),
    (9000000000002, 1, 10, 1.000, 0.333333343, 6.6600),
    (9000000000003, 1, 30, 100.500, 0, 1005.0000),
    (9000000000003, 2, 20, 1.000, NULL, 24.0000),
    (9000000000004, 1, 40, 3.000, 0.05, 57.0000);
INSERT INTO Catalog.Products (ProductID, Name, Weight, Attributes, Changed, OnSaleFrom)
VALUES
    (10, N'Green tea', 0.1, N'<tea origin="Uji"><grade>A</grade></tea>', '2024-01-01T00:00:00.1234567', '07:00:00'),
    (20, N'Teapot', 1.25e0, N'<pot><liters>0.8</liters></pot>', '2024-01-02T12:00:00', NULL),
    (30, N'Sugar cubes', 0.30000000000000004, NULL, '0001-01-01T00:00:00', '23:59:59.9999999'),
    (40, N'Tray ''oak''', NULL, N'<tray/>', '9999-12-31T23:59:59.9999999', '00:00:00');
INSERT INTO Catalog.Prices (Sku, ValidFrom, Price, Currency)
VALUES
    ('TEA-100', '2024-01-01', 9.99, 'EUR'),
    ('TEA-100', '2024-06-01', 10.49, 'EUR'),
    ('POT-1', '2024-01-01', 24, 'EUR'),
    ('SUGAR', '2024-01-01', 1234567890123456789012345678.0123456789, 'JPY'),
    ('TRAY', '2024-01-01', 0.0000000001, 'USD');
INSERT INTO Catalog.Attachments (AttachmentID, Name, Content, Checksum)
VALUES
    ('11111111-2222-3333-4444-555555555555', N'invoice.pdf', 0x255044462D312E370A, 0xCAFEBABE),
    ('66666666-7777-8888-9999-AAAAAAAAAAAA', N'empty.bin', 0x, NULL),
    ('BBBBBBBB-CCCC-DDDD-EEEE-FFFFFFFFFFFF', N'not there yet', NULL, 0x00);
GO
