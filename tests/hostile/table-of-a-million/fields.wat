(table $large 1000000 funcref)
