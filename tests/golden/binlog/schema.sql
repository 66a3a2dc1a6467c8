-- The type matrix of the MySQL family: tables and rows that the golden binary logs hold. One statement a line.
create table t_int(id int primary key, a tinyint, b smallint, c mediumint, d int, e bigint, ua tinyint unsigned, ub smallint unsigned, uc mediumint unsigned, ud int unsigned, ue bigint unsigned, bo bool, y year, z int unsigned)
create table t_dec(id int primary key, a decimal(10,0), b decimal(18,4), c decimal(65,30), d decimal(5,5), e decimal(1,0) unsigned, f float, g double, i decimal(30,9), j decimal(12,3) zerofill)
create table t_time(id int primary key, a date, b time, c time(1), d time(3), e time(6), f datetime, g datetime(2), h datetime(6), i timestamp null, j timestamp(3) null, k timestamp(6) null, l datetime(5))
create table t_str(id int primary key, a char(10), b char(200), c varchar(10), d varchar(300), e varchar(100) character set latin1, f binary(5), g varbinary(300), h text, i tinytext, j mediumtext, k longtext, l blob, m tinyblob, n mediumblob, o longblob, p varchar(20) character set utf16, q char(255), r text character set gbk, s varchar(20) character set cp1251, t char(20) character set sjis)
create table t_misc(id int primary key, a bit(1), b bit(10), c bit(64), d enum('red','green','blué'), e set('a','b','c','d-e'), f enum('x') not null, g geometry, h point)
create table t_keys(a int unsigned not null, b varchar(20) not null, c binary(16), primary key(a, b), unique key u(c))
insert into t_int values (1,-128,-32768,-8388608,-2147483648,-9223372036854775808,0,0,0,0,0,true,1901,4294967295),(2,127,32767,8388607,2147483647,9223372036854775807,255,65535,16777215,4294967295,18446744073709551615,false,2155,0),(3,-1,-1,-1,-1,-1,1,1,1,1,1,null,0,7),(4,null,null,null,null,null,null,null,null,null,null,null,null,null)
insert into t_dec values (1,-1234567890,-12345678901234.5678,-12345678901234567890123456789012345.123456789012345678901234567890,-0.12345,9,1.5,2.25,123456789012345678901.123456789,7.5),(2,0,0.0001,0.000000000000000000000000000001,0.00001,0,-1e30,1e-300,0,0),(3,9999999999,99999999999999.9999,99999999999999999999999999999999999.999999999999999999999999999999,0.99999,0,3.4028234e38,1.7976931348623157e308,-0.000000001,0.001),(4,null,null,null,null,null,null,null,null,null)
insert into t_time values (1,'2026-11-20','838:59:59','-838:59:58.9','-12:34:56.789','-00:00:00.000001','2026-11-20 22:33:44','9999-12-31 23:59:59.99','1000-01-01 00:00:00.000001','1970-01-01 00:00:01','2026-11-20 22:33:44.123','2038-01-19 03:14:07.999999','2026-01-01 00:00:00.12345'),(2,'0000-00-00','00:00:00','00:00:00.1','-00:00:01.5','01:02:03.000004','0000-00-00 00:00:00','2026-00-00 00:00:00','2026-02-00 01:02:03.5','0000-00-00 00:00:00','0000-00-00 00:00:00','2000-01-01 00:00:00.000001','0000-00-00 00:00:00'),(3,null,null,null,null,null,null,null,null,null,null,null,null)
insert into t_str values (1,'abc','üñí',repeat('é',10),repeat('x',300),'café €',0x0102,0x00ff00ff,'te"xt\\','tiny','medium','long',0x00,0x01,0x02ff,0xdeadbeef,'utf16€😀',repeat('長',255),'汉字','привет','日本語'),(2,'','','','','','','','','','','','','','','','','','','',''),(3,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null)
insert into t_misc values (1,1,b'1000000001',18446744073709551615,'blué','a,c,d-e','x',ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(3 4)')),(2,0,0,1,'','','x',null,null),(3,null,null,null,null,null,'zzz',null,null)
insert into t_keys values (4294967295,'zz','ab'),(1,'a',''),(1,'B',x'00ff00')
update t_int set a=a+1 where id=3
update t_str set d='upd' where id=1
delete from t_dec where id=4
update t_keys set a=2 where b='a'
alter table t_misc add column n int first
insert into t_misc values (9,4,null,null,null,1,3,'x',null,null)
