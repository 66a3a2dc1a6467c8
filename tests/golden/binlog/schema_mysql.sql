-- MySQL only. One statement a line.
create table t_json(id int primary key, j json, g int generated always as (id * 2) stored, v int generated always as (id * 3) virtual)
insert into t_json(id, j) values (1,'{"a":1,"b":[1,2.5,"x",null,true,false,{"k":-5}],"big":18446744073709551615,"neg":-9223372036854775808,"s":"é\\u20ac","e":{},"arr":[]}'),(2,'null'),(3,null),(4,'[65536, 4294967296, -32769, -2147483649, 1e300, 1.0, -0.0, 1e15, 1e14, 1e16, 0.1, 1e-5, 1e-15, 1e-16, 5e-324, 123456.789e3]')
insert into t_json(id, j) values (5, json_object('d', cast('2026-11-20 01:02:03.5' as datetime(6)), 'dec', cast(12.345 as decimal(10,3)), 't', cast('-01:02:03' as time), 'dt', cast('2026-11-20' as date), 'bin', cast(repeat('abc',60) as binary), 'y', cast(2026 as year), 'esc', 'é"\\\n\t\b\f\r/'))
set session binlog_transaction_compression=ON
insert into t_int(id, a) select id + 100, a from t_int where a is not null
update t_int set b = 5 where id > 100
