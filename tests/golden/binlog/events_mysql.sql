-- MySQL only. One statement a line.
set session binlog_row_value_options = 'PARTIAL_JSON'
create table t_diff(k int primary key, a json, n int, b json, c json)
insert into t_diff values (1,json_object('a',1,'b',json_array(1,2,3),'c',json_object('d',repeat('x',80))),1,'[1,2,3]',null)
insert into t_diff values (2,json_object('pad',repeat('p',100),'k',null),1,json_array(1,json_object('x',repeat('y',90)),'z'),'{"big":1}')
insert into t_diff select k + 10, a, n, b, c from t_diff
update t_diff set a = json_set(a, '$.a', 2)
update t_diff set a = json_set(a, '$.b[10]', 'end', '$.b[last]', 9), b = json_remove(b, '$[0]'), n = n + 1
update t_diff set a = json_set(a, '$.c."x y"', cast(1.5 as decimal(5,2)), '$."q\\"uote"', true), c = json_set(c, '$.big', cast('2026-01-02' as date))
update t_diff set b = json_set(b, '$[last-1].new', json_array(1, null)), a = json_replace(a, '$.nothing', 1) where k > 1
update t_diff set a = '{"whole": "other"}', b = json_remove(b, '$[last]') where k = 12
set session binlog_transaction_compression = ON
update t_diff set a = json_set(a, '$.é', '日本')
xa start 'c'
update t_xa set v = v + 1 where k < 10
xa end 'c'
xa prepare 'c'
xa commit 'c'
