-- Kinds of events, both servers. One statement a line.
create table t_ctas_from(k int primary key, v varchar(20))
insert into t_ctas_from values (1,'x'),(2,'y'),(3,null)
create table t_ctas(primary key (k)) select k, v, k + 1 as n from t_ctas_from
create table t_part(k int, d int, primary key (k, d)) partition by range (d) (partition a values less than (10), partition b values less than maxvalue)
insert into t_part values (1,5),(2,15),(3,6)
update t_part set d = d + 10 where k < 3
create table t_xa(k int primary key, v int)
insert into t_xa values (1,1),(2,2)
xa start 'a','b',3
update t_xa set v = v + 10
insert into t_xa values (3,3)
xa end 'a','b',3
xa prepare 'a','b',3
xa commit 'a','b',3
xa start 'r'
delete from t_xa
xa end 'r'
xa prepare 'r'
xa rollback 'r'
xa start 'o'
insert into t_xa values (4,4)
xa end 'o'
xa commit 'o' one phase
insert into t_xa select k + 10, v from t_xa
insert into t_xa select k + 100, v from t_xa
