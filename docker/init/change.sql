-- A first change to watch on its way: an insert, an update and a delete in one transaction. Run once.
USE shop;
GO
BEGIN TRANSACTION;
INSERT INTO Sales.Orders (OrderID, CustomerID, OrderedAt, Status, Freight)
VALUES (4, 3, '2024-04-01T08:05:00.000+00:00', 'N', 1.0000);
UPDATE Sales.Customers SET Email = 'grace@example.com' WHERE CustomerID = 2;
DELETE FROM Sales.OrderLines WHERE OrderID = 1 AND Line = 2;
COMMIT TRANSACTION;
GO
