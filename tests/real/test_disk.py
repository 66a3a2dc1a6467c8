"""A lake on a local disk that is full or read-only: told by code, nothing lost, and it goes on when there is room again."""

import os
import subprocess

import pytest
from lib.deploy import Deployment
from lib.lakehouse import Lakehouse, check_ranges, equal
from stack import wait_until
from test_iceberg import QUICK


@pytest.fixture
def disk(tmp_path):
    """A file system of 4 MiB, in memory; disk(options) changes it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no right to mount: {made.stderr}")

    def change(options):
        """Again while a file is open for writing: it cannot become read-only then."""
        wait_until(lambda: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)]).returncode == 0, 30,
                   f"remounted {options}")
    change.folder = folder
    yield change
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(source, name, rows):
    with source.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for k in rows:
            cursor.execute(f"REPLACE INTO {name}.t VALUES (%s, %s)", (k, os.urandom(100_000)))


def prepared(source, name):
    source.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY, v LONGBLOB)",
                   f"CREATE TABLE {name}.other (k INT PRIMARY KEY)", f"INSERT INTO {name}.other VALUES (1)")
    fill(source, name, range(5))


def lake_on(disk, tmp_path, all_of_it):
    lake = Lakehouse(disk.folder / "lake" if all_of_it else tmp_path / "lake")
    if not all_of_it:
        (disk.folder / "lake").mkdir()
        old, lake.location = lake.location, f"file://{disk.folder}/lake"
        lake.uri = lake.uri.replace(old, lake.location)
    return lake


@pytest.mark.parametrize("what", ["files", pytest.param("catalog and files", marks=pytest.mark.slow)])
def test_a_full_disk_is_told_and_what_was_to_be_written_comes_when_there_is_room(binaries, kafka, tmp_path, mysql97, disk, what):
    name = "disk_full"
    prepared(mysql97, name)
    lake = lake_on(disk, tmp_path, what != "files")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        _, apply = d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t", f"{name}.other"])
        fill(mysql97, name, range(3, 60))
        mysql97.execute(f"DELETE FROM {name}.t WHERE k = 0")
        d.wait(lambda: "MR3022" in str(d.show(task)), lambda: f"the full disk is told: {d.show(task)}")
        assert d.show(task)["state"] == "running"
        before = lake.snapshots(f"{name}.t")
        disk("size=64m")
        equal(d, task, lake, mysql97, [f"{name}.t", f"{name}.other"], 90)
        assert lake.snapshots(f"{name}.t")[:len(before)] == before
        check_ranges(lake, f"{name}.t", task)
        d.wait(lambda: d.show(task)["err-msg"] == "", "the error is over")
        left = [p for p in disk.folder.rglob("*.parquet.??????")]
        assert left == [], "unfinished files stayed"


def test_a_read_only_disk_stops_the_task_which_goes_on_when_it_can_be_written(binaries, kafka, tmp_path, mysql97, disk):
    name = "disk_ro"
    prepared(mysql97, name)
    lake = lake_on(disk, tmp_path, False)
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t"])
        disk("ro")
        fill(mysql97, name, range(3, 9))
        d.wait(lambda: "MR3021" in str(d.show(task)), lambda: f"the refusal is told: {d.show(task)}")
        disk("rw,size=64m")
        d.verb("resume", task)
        equal(d, task, lake, mysql97, [f"{name}.t", f"{name}.other"], 90)
        check_ranges(lake, f"{name}.t", task)
