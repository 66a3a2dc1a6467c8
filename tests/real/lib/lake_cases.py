"""Random Iceberg tables: schemas, rows, commits and changes of the definition, decided here and kept in lib.lake.Truth.

A case is made from its seed alone. Values are those of lib.parquet_cases.Field; cells here are the lake driver's.
"""

import random
from collections import Counter

from lib.lake import Expected, Truth
from lib.parquet_cases import METRICS, Field, decimal_text

WIDENED = {"int": "long", "float": "double"}


def new_field(rng, number):
    """A column that every reader takes by name: PyIceberg reads a dot as a nested field."""
    field = Field(rng, number)
    field.id = number + 1
    field.name = f"c{number}" + rng.choice(["", "", " é", "漢"])
    return field


def driver_cell(field, value):
    if value is None:
        return None
    if field.kind in ("float", "double"):
        return repr(value)
    if field.kind == "decimal":
        return decimal_text(value, field.scale)
    if field.kind == "boolean":
        return int(value)
    return value.hex() if isinstance(value, bytes) else value


class Table:
    """One table under random commits. snapshots: [(id, Expected)]."""

    def __init__(self, rng, driver, space, name, version):
        self.rng, self.driver, self.name, self.version = rng, driver, f"{space}.{name}", version
        self.fields = {f.id: f for f in (new_field(rng, k) for k in range(rng.choice([1, 2, 4, 7])))}
        schema = {"type": "struct", "schema-id": 0, "identifier-field-ids": [],
                  "fields": [{"id": f.id, "name": f.name, "required": f.required, "type": f.type} for f in self.fields.values()]}
        self.truth, self.snapshots, self.number, self.merge_at = Truth(schema), [], 0, rng.choice([2, 3, 100])
        driver.run(op="create", table=[space, name], version=version, schema=schema)

    def rows(self, n):
        columns = [[driver_cell(self.fields[f["id"]], v) for v in self.fields[f["id"]].values(self.rng, n)]
                   for f in self.truth.fields]
        return [list(row) for row in zip(*columns)]

    def new_file(self, n):
        self.number += 1
        rows = self.rows(n)
        name = f"f{self.number}"
        return name, rows, {"name": name, "rows": rows, "group_rows": self.rng.choice([0, 0, 3, 50, 20000]),
                            "metrics": [self.rng.choice(METRICS) for _ in self.truth.fields]}

    def live(self):
        return {name: [k for k, row in enumerate(rows) if row is not None] for name, rows in self.truth.files.items()}

    def choose_deletes(self):
        """Positions by file; never all that a file has left: that is a drop."""
        out = {}
        for name, live in self.live().items():
            if len(live) > 1 and self.rng.random() < 0.5:
                out[name] = sorted(self.rng.sample(live, self.rng.choice([1, len(live) // 2, len(live) - 1]) or 1))
        return out

    def commit(self, sizes):
        rng, live = self.rng, self.live()
        drop = [name for name in live if rng.random() < 0.1]
        delete = {name: p for name, p in self.choose_deletes().items() if name not in drop}
        added = [self.new_file(n) for n in sizes]
        for name, positions in delete.items():
            self.truth.delete(name, positions)
        for name in drop:
            self.truth.drop(name)
        for name, rows, _ in added:
            self.truth.append(name, rows)
        nothing = not (added or delete or drop)
        answer = self.driver.run(op="commit", files=[spec for _, _, spec in added], delete=delete, drop=drop, claim=nothing,
                                 merge_at=self.merge_at, properties={"millrace.t": str(len(self.snapshots))})
        self.snapshots.append((answer["snapshot"], Expected(self.truth)))

    # The definition.

    def change(self):
        change = self.choose_change()
        if change:
            self.driver.run(op="schema", changes=[change])
            self.truth.change(**change)

    def choose_change(self):
        rng, kind = self.rng, self.rng.choice(["add", "drop", "rename", "widen", "move"])
        field = rng.choice(self.truth.fields)
        if kind == "add":
            new = new_field(rng, self.truth.last_id)
            new.required = False
            self.fields[new.id] = new
            return {"kind": "add", "name": f"{new.name} a{new.id}", "type": new.type}
        if kind == "rename":
            return {"kind": "rename", "id": field["id"], "name": f"r{len(self.snapshots)} {field['id']}"}
        if kind == "drop" and len(self.truth.fields) > 1:
            return {"kind": "drop", "id": field["id"]}
        if kind == "move" and len(self.truth.fields) > 1:
            after = rng.choice([0, *(f["id"] for f in self.truth.fields if f is not field)])
            return {"kind": "move", "id": field["id"], "after": after}
        return self.widen(field) if kind == "widen" else None

    def widen(self, field):
        """Values made from now on may need the wider type."""
        have = self.fields[field["id"]]
        if have.kind in WIDENED:
            have.kind = WIDENED[have.kind]
        elif have.kind == "decimal" and have.precision < 38:
            have.precision = self.rng.randint(have.precision + 1, 38)
        else:
            return None
        return {"kind": "widen", "id": field["id"], "type": have.type}


def live_through(table, large=False):
    """A few commits with changes of the definition between them."""
    rng = table.rng
    if large:
        table.commit([rng.randint(66_000, 80_000)])
    many = rng.random() < 0.03 and not large
    for _ in range(25 if many else rng.randint(1, 4)):
        if rng.random() < 0.3:
            table.change()
        table.commit([rng.choice([1, 2] if many else [1, 8, 40, 150]) for _ in range(rng.choice([0, 1, 1, 2]))])


def count_cells(rows, at):
    """How often each value is in a column, as cells."""
    return Counter(row[at] for row in rows.elements())


def make(seed, driver, space, large=False):
    rng = random.Random(seed)
    table = Table(rng, driver, space, "t", rng.choice([2, 3]))
    live_through(table, large)
    return table
