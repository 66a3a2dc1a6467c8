-- MariaDB only. One statement a line. No uuid, inet or json: only information_schema tells these.
create table t_maria(id int primary key, inv int invisible default 3, gv int as (id + 1) virtual, e enum('ä','b'), c char(5) charset binary)
insert into t_maria(id, e, c) values (1,'ä','q'),(2,'b',''),(3,null,null)
set global log_bin_compress=ON
set global log_bin_compress_min_len=10
insert into t_str(id, h) select id + 100, repeat('z', 200) from t_str
update t_str set h = repeat('y', 100) where id > 101
delete from t_str where id = 101
set global log_bin_compress=OFF
create table t_packed(id int primary key, v varchar(100) compressed, l varchar(1000) compressed character set latin1, t text compressed, b blob compressed, y varbinary(50) compressed)
insert into t_packed values (1,repeat('abc',30),repeat('é',200),repeat('xyz',300),repeat('q',150),repeat('w',40)),(2,'','x','short','',x'00ff'),(3,null,null,null,null,null)
set session column_compression_zlib_wrap=ON
insert into t_packed values (4,repeat('abc',30),repeat('é',200),repeat('xyz',300),repeat('q',150),repeat('w',40))
