"""probe_duckdb ROWS CODEC PATH: DuckDB's COPY TO of the rows of bench/lake_parquet.c, one thread, from a table in memory.
Prints bytes, seconds and CPU microseconds per row."""

import os
import resource
import sys
import time

import duckdb

ROWS = """select i as id, 'customer ' || m || ' of many' as name,
    ['Shanghai', 'Beijing', 'Shenzhen', 'Hangzhou', 'Berlin', 'Paris', 'London', 'New York'][m % 8 + 1] as city,
    'note ' || (m % 1000) || ', a little longer than the rest' as note, m * 0.25::double as score,
    ((m % 1000000) || '.' || lpad((i % 100)::varchar, 2, '0'))::decimal(12, 2) as price,
    make_timestamp(2026, 1 + i % 12, 1 + i % 28, m % 24, m % 60, (i % 60)::double) as created,
    make_timestamptz(1790000000000000 + i * 1000) as updated, (i % 5)::int as kind,
    case when i % 20 = 0 then null else (m % 16777216)::int end as amount
    from (select range as i, (range * 2654435761::bigint) % 4294967296 as m from range({rows}))"""
CODECS = {"none": "codec uncompressed", "snappy": "codec snappy", "zstd": "codec zstd, compression_level 1", "lz4": "codec lz4_raw"}


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    rows, codec, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create table t as {ROWS.format(rows=rows)}")
    begin, used = time.monotonic(), cpu()
    connection.execute(f"copy t to '{path}' (format parquet, {CODECS[codec]})")
    seconds, used = time.monotonic() - begin, cpu() - used
    print(f"bytes={os.path.getsize(path)} seconds={seconds:.4f} cpu_us={used * 1e6 / rows:.4f}")


if __name__ == "__main__":
    main()
