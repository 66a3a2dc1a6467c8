-- MariaDB only. One statement a line.
create sequence s_seq start with 5
create table t_seq(k int primary key, v int)
insert into t_seq values (nextval(s_seq), 1), (nextval(s_seq), 2)
set global log_bin_compress = ON
set global log_bin_compress_min_len = 10
xa start 'c'
update t_xa set v = v + 1 where k < 1000
xa end 'c'
xa prepare 'c'
xa commit 'c'
set global log_bin_compress = OFF
set global log_bin_compress_min_len = 256
