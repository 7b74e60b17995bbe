"""Columns of the tables that the experiments write."""


def column(table, name):
    return [row[table.columns.split(",").index(name)] for row in table.rows]
