"""Changes of definitions for generator.py: one(world) does one statement, or one known sequence of them.

The model follows only what the source accepted. Each statement is remembered in world.statements."""

from lib.generator import Column, q


def do(world, statement):
    done = world.run(statement) is not None
    if done:
        world.statements.append(statement)
    return done


def alter(world, table, change):
    return do(world, f"ALTER TABLE {q(table.name)} {change}")


def place(world, table):
    return world.r.choice(("", "", " FIRST", f" AFTER {q(world.r.choice(table.written()).name)}"))


def place_in(table, column, where):
    table.columns = [c for c in table.columns if c is not column]
    at = len(table.columns)
    if where == " FIRST":
        at = 0
    elif where:
        name = where[7:]
        at = next((i + 1 for i, c in enumerate(table.columns) if q(c.name) == name), at)
    table.columns.insert(at, column)


def fresh_column(world, name=None):
    column = world.column(name=name)
    if column.kind.cell == "geometry":  # NOT NULL would put values without bytes into the rows, which are no geometries
        column.null = True
    return column


def add(world, table, name=None):
    column = fresh_column(world, name)
    where = place(world, table)
    if alter(world, table, f"ADD COLUMN {column.definition()}{where}"):
        place_in(table, column, where)
        return column
    return None


def add_two(world, table):
    first, second = fresh_column(world), fresh_column(world)
    if alter(world, table, f"ADD ({first.definition()}, {second.definition()})"):
        table.columns += [first, second]


def used_by_generated(table, name):
    return any(c.generated and q(name) in c.after for c in table.columns)


def pick(world, table, wanted=lambda c: True):
    found = [c for c in table.free() if wanted(c) and not used_by_generated(table, c.name)]
    return world.r.choice(found) if found else None


def drop(world, table):
    column = pick(world, table)
    visible = [c for c in table.columns if not c.invisible and c is not column]
    if column and visible and alter(world, table, f"DROP COLUMN {q(column.name)}"):
        table.columns.remove(column)


def drop_and_add(world, table):
    """Under one name, in one statement or in two."""
    column = pick(world, table)
    if not column:
        return
    again = fresh_column(world, column.name)
    if world.r.random() < 0.5:
        if alter(world, table, f"DROP COLUMN {q(column.name)}, ADD COLUMN {again.definition()}"):
            table.columns[table.columns.index(column)] = again
            place_in(table, again, "")
        return
    if alter(world, table, f"DROP COLUMN {q(column.name)}"):
        table.columns.remove(column)
        if world.r.random() < 0.3:
            world.transaction()
        if alter(world, table, f"ADD COLUMN {again.definition()}"):
            table.columns.append(again)


def rename(world, table):
    column = pick(world, table)
    if not column:
        return
    name = world.fresh_name()
    how = world.r.choice(("RENAME COLUMN", "CHANGE"))
    text = f"RENAME COLUMN {q(column.name)} TO {q(name)}"
    if how == "CHANGE":
        fresh = Column(name, column.kind, column.null, column.default, invisible=column.invisible)
        text = f"CHANGE {q(column.name)} {fresh.definition()}"
    if alter(world, table, text):
        column.name = name


def rename_key(world, table):
    column = table.column(world.r.choice(table.key))
    if used_by_generated(table, column.name):
        return
    name = world.fresh_name()
    if alter(world, table, f"RENAME COLUMN {q(column.name)} TO {q(name)}"):
        for names in [table.key, *table.uniques]:
            names[:] = [name if n == column.name else n for n in names]
        column.name = name


def swap_names(world, table):
    a, b = pick(world, table), pick(world, table)
    if a and b and a is not b and alter(world, table, f"RENAME COLUMN {q(a.name)} TO {q(b.name)}, RENAME COLUMN {q(b.name)} TO {q(a.name)}"):
        a.name, b.name = b.name, a.name


def reorder(world, table):
    column = pick(world, table)
    where = place(world, table)
    if column and where and f"AFTER {q(column.name)}" not in where and alter(world, table, f"MODIFY {column.definition()}{where}"):
        place_in(table, column, where)


WIDER = {"TINYINT": "INT", "SMALLINT": "BIGINT", "INT": "BIGINT", "TINYTEXT": "MEDIUMTEXT", "TEXT": "LONGTEXT", "BLOB": "MEDIUMBLOB",
         "FLOAT": "DOUBLE", "DATETIME": "DATETIME(6)"}


def modify(world, table, column, sql):
    kind = type(column.kind)(**{**vars(column.kind), "sql": sql})
    if "BLOB" in sql:
        kind.cell = sql.lower()
    fresh = Column(column.name, kind, column.null, column.default, invisible=column.invisible)
    if alter(world, table, f"MODIFY {fresh.definition()}"):
        column.kind = kind


def widen(world, table):
    column = pick(world, table, lambda c: c.kind.sql in WIDER or c.kind.sql.startswith("VARCHAR("))
    if column and column.kind.sql in WIDER:
        modify(world, table, column, WIDER[column.kind.sql])
    elif column:
        modify(world, table, column, column.kind.sql.replace(f"({column.kind.length})", f"({column.kind.length + 50})"))


def convert(world, table):
    """To another type: the source may refuse."""
    column = pick(world, table)
    if not column:
        return
    fresh = fresh_column(world, column.name)
    if alter(world, table, f"MODIFY {fresh.definition()}"):
        column.kind, column.null, column.default, column.invisible = fresh.kind, fresh.null, fresh.default, fresh.invisible


def charset(world, table):
    column = pick(world, table, lambda c: c.kind.charset)
    if column:
        sql = column.kind.sql.split(" CHARACTER SET")[0] + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        modify(world, table, column, sql)


def default(world, table):
    column = pick(world, table, lambda c: not c.kind.large and c.kind.cell not in ("enum", "set") and "default" not in c.kind.unsuited)
    if not column:
        return
    value = column.kind.value(world.r)
    if world.r.random() < 0.3:
        if alter(world, table, f"ALTER COLUMN {q(column.name)} DROP DEFAULT"):
            column.default = None
    elif alter(world, table, f"ALTER COLUMN {q(column.name)} SET DEFAULT {value}"):
        column.default = value


def nullability(world, table):
    column = pick(world, table)
    if column:
        fresh = Column(column.name, column.kind, not column.null, column.default, invisible=column.invisible)
        if alter(world, table, f"MODIFY {fresh.definition()}"):
            column.null = fresh.null


def index(world, table):
    column = pick(world, table, lambda c: c.kind.key)
    if column:
        unique = world.r.random() < 0.3
        if do(world, f"CREATE {'UNIQUE ' if unique else ''}INDEX {q(world.fresh_name(0))} ON {q(table.name)} ({q(column.name)})") and unique:
            table.uniques.append([column.name])


def primary(world, table):
    """Another primary key, if the rows allow it."""
    if not table.primary:
        return
    column = pick(world, table, lambda c: c.kind.key and not c.null and not c.invisible and not c.default)
    if not column:
        return
    key = table.key + [column.name] if world.r.random() < 0.7 else [column.name]
    if alter(world, table, f"DROP PRIMARY KEY, ADD PRIMARY KEY ({', '.join(map(q, key))})"):
        for name in key:
            column = table.column(name)
            column.pool = column.pool or [column.kind.value(world.r) for _ in range(30)]
        table.key = key


def truncate(world, table):
    do(world, f"TRUNCATE TABLE {q(table.name)}")


def recreate(world, table):
    """DROP and CREATE again, as it was or as another table."""
    if not do(world, f"DROP TABLE {q(table.name)}"):
        return
    world.dropped.add(table.name)
    fresh = table if world.r.random() < 0.5 else world.table(table.name)
    world.tables.remove(table)
    if world.add_table(fresh):
        world.statements.append(fresh.ddl())
        world.dropped.discard(table.name)


def create(world, _):
    table = world.table()
    if len(world.tables) < 9 and world.add_table(table):
        world.statements.append(table.ddl())


def rename_table(world, table):
    name = world.fresh_name()
    text = world.r.choice((f"RENAME TABLE {q(table.name)} TO {q(name)}", f"ALTER TABLE {q(table.name)} RENAME TO {q(name)}"))
    if do(world, text):
        world.dropped.add(table.name)
        table.name = name


def away_and_back(world, table):
    """Out of the scope, changed there, and in again."""
    other = world.database + "_other"
    world.server.execute(f"CREATE DATABASE IF NOT EXISTS {q(other)}")
    if do(world, f"RENAME TABLE {q(table.name)} TO {q(other)}.x"):
        do(world, f"DELETE FROM {q(other)}.x LIMIT 3")
        do(world, f"RENAME TABLE {q(other)}.x TO {q(table.name)}")


def gh_ost(world, table):
    """The statements of gh-ost, and of pt-online-schema-change: copy into a shadow, swap by RENAME."""
    shadow, old = f"_{table.name[:58]}_gho", f"_{table.name[:58]}_del"
    column = fresh_column(world)
    if table.name.startswith("_") or not do(world, f"CREATE TABLE {q(shadow)} LIKE {q(table.name)}"):
        return
    names = ", ".join(q(c.name) for c in table.written())
    if do(world, f"ALTER TABLE {q(shadow)} ADD COLUMN {column.definition()}"):
        if do(world, f"INSERT IGNORE INTO {q(shadow)} ({names}) SELECT {names} FROM {q(table.name)}"):
            if do(world, f"RENAME TABLE {q(table.name)} TO {q(old)}, {q(shadow)} TO {q(table.name)}"):
                table.columns.append(column)
                world.dropped.add(shadow)
                do(world, f"DROP TABLE IF EXISTS {q(old)}")
                world.dropped.add(old)
                return
    do(world, f"DROP TABLE {q(shadow)}")
    world.dropped.add(shadow)


def copied(world, table):
    name = world.fresh_name(0)
    if len(world.tables) < 9 and do(world, f"CREATE TABLE {q(name)} (id INT NOT NULL PRIMARY KEY) AS SELECT 1 AS id, 'x' AS a"):
        do(world, f"DROP TABLE {q(name)}")
        world.dropped.add(name)


STORM = (add, drop, rename, widen, default)


def storm(world, table):
    for _ in range(6):
        world.r.choice(STORM)(world, table)


ALL = [(6, add), (1, add_two), (4, drop), (2, drop_and_add), (4, rename), (1, rename_key), (1, swap_names), (2, reorder), (4, widen),
       (3, convert), (2, charset), (3, default), (2, nullability), (2, index), (2, primary), (2, truncate), (2, recreate), (2, create),
       (1, rename_table), (1, away_and_back), (1, gh_ost), (1, copied), (1, storm)]


def one(world):
    act = world.r.choices([a for _, a in ALL], [w for w, _ in ALL])[0]
    act(world, world.r.choice(world.tables))
