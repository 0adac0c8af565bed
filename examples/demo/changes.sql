-- A new customer orders: three tables in one transaction.
BEGIN TRANSACTION;
INSERT INTO Sales.Customers (Name, Email, Country, Active, Rating, Credit, Balance, Birthday, Registered, Notes, Token)
VALUES (N'Barbara Liskov', NULL, N'US', 1, 9, 250.00, 0, '1939-11-07', '2024-04-01T08:00:00', NULL, '12345678-9ABC-DEF0-1234-56789ABCDEF0');
INSERT INTO Sales.Orders (OrderID, CustomerID, OrderedAt, ShipBy, Status, Priority, Freight)
VALUES (9000000000005, 5, '2024-04-01T08:05:00.000+00:00', NULL, 'N', 2, 1.0000);
INSERT INTO Sales.OrderLines (OrderID, Line, ProductID, Quantity, Discount, Total)
VALUES (9000000000005, 1, 20, 1.000, NULL, 24.0000), (9000000000005, 2, 10, 4.000, 0.25, 29.9700);
COMMIT TRANSACTION;
GO
-- Updates: to NULL, from NULL, to the empty string, many rows at once.
UPDATE Sales.Customers SET Email = 'grace@example.com', Notes = NULL WHERE CustomerID = 2;
UPDATE Sales.Customers SET Email = '' WHERE CustomerID = 3;
UPDATE Sales.Orders SET Status = 'S', Freight = Freight + 0.5 WHERE Status = 'N';
UPDATE Catalog.Attachments SET Content = 0x00FF5C5C4E0A0D09, Name = N'now there' WHERE Content IS NULL;
GO
-- Deletes, one of them on a key of two columns.
DELETE FROM Sales.OrderLines WHERE OrderID = 9000000000003 AND Line = 2;
DELETE FROM Sales.Customers WHERE Name = N'Edsger Dijkstra';
GO
-- Keys change: all of it, part of it, and only its letters' case, which is the same key to SQL Server.
UPDATE Catalog.Products SET ProductID = 31 WHERE ProductID = 30;
UPDATE Catalog.Prices SET ValidFrom = '2024-07-01' WHERE Sku = 'TEA-100' AND ValidFrom = '2024-06-01';
UPDATE Catalog.Prices SET Sku = 'tray' WHERE Sku = 'TRAY';
GO
-- A row that comes and goes within one window, and a row that goes and comes back with another value.
INSERT INTO Sales.Orders (OrderID, CustomerID, OrderedAt, ShipBy, Status, Priority, Freight)
VALUES (9000000000666, 1, '2024-04-02T00:00:00.000+00:00', NULL, 'X', 0, 0);
DELETE FROM Sales.Orders WHERE OrderID = 9000000000666;
DELETE FROM Catalog.Prices WHERE Sku = 'POT-1';
INSERT INTO Catalog.Prices (Sku, ValidFrom, Price, Currency) VALUES ('POT-1', '2024-01-01', 26.5, 'EUR');
GO
-- And something that never happened.
BEGIN TRANSACTION;
DELETE FROM Sales.OrderLines;
ROLLBACK TRANSACTION;
GO
