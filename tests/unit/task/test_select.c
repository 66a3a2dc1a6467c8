#include "unit_task.h"

static void
goes_to(const struct task *t, const char *db, const char *table, const char *to)
{
    struct task_target target = {"", ""};
    char text[200] = "";
    if (task_selects(t, db, table, &target))
        snprintf(text, sizeof(text), "%s.%s", target.db, target.table);
    if (strcmp(text, to) != 0)
        fail_msg("%s.%s goes to '%s', not '%s'", db, table, text, to);
}

static void
account_selects_all_but_system_schemas(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    goes_to(t, "shop", "orders", "shop.orders");
    goes_to(t, "Mo_shop", "x", "Mo_shop.x");
    goes_to(t, "mysql", "user", "");
    goes_to(t, "SYS", "x", "");
    goes_to(t, "information_schema", "x", "");
    goes_to(t, "performance_schema", "x", "");
    goes_to(t, "mo_catalog", "x", "");
    goes_to(t, "system_metrics", "x", "");
    goes_to(t, "millrace", "millrace_checkpoint", "");
    assert_true(task_selects_database(t, "shop"));
    assert_false(task_selects_database(t, "mysql"));
    task_unref(t);
}

static void
databases_keep_or_change_their_name(void **state)
{
    struct task *t = sample_task(TASK_DATABASE, "zoo, shop : copy ,a");
    goes_to(t, "shop", "orders", "copy.orders");
    goes_to(t, "zoo", "t", "zoo.t");
    goes_to(t, "a", "t", "a.t");
    goes_to(t, "Shop", "t", "");
    goes_to(t, "sho", "t", "");
    assert_true(task_selects_database(t, "zoo"));
    assert_false(task_selects_database(t, "copy"));
    task_unref(t);
}

static void
tables_keep_or_change_their_name(void **state)
{
    struct task *t = sample_task(TASK_TABLE, "b.t,a.t:x.y,a.s");
    goes_to(t, "a", "t", "x.y");
    goes_to(t, "a", "s", "a.s");
    goes_to(t, "b", "t", "b.t");
    goes_to(t, "b", "s", "");
    assert_true(task_selects_database(t, "b"));
    assert_false(task_selects_database(t, "x"));
    task_unref(t);
}

static void
odd_names_stand_in_backquotes(void **state)
{
    struct task *t = sample_task(TASK_TABLE, "`a,b`.`c.d`:`e:f`.`g``h`, ``` `.x");
    goes_to(t, "a,b", "c.d", "e:f.g`h");
    goes_to(t, "` ", "x", "` .x");
    task_unref(t);
}

static void
exclude_is_searched_unanchored_in_db_dot_table(void **state)
{
    struct err e = {0};
    struct task *t = sample_task(TASK_DATABASE, "shop,zoo");
    assert_true(task_set_exclude(t, "op.ord|_tmp", &e));
    goes_to(t, "shop", "orders", "");
    goes_to(t, "shop", "a_tmp_b", "");
    goes_to(t, "zoo", "orders", "zoo.orders");
    assert_true(task_set_exclude(t, "^zoo\\.[a-c]", &e));
    goes_to(t, "shop", "orders", "shop.orders");
    goes_to(t, "zoo", "ape", "");
    goes_to(t, "zoo", "dog", "zoo.dog");
    assert_false(task_set_exclude(t, "(", &e));
    assert_int_equal(e.class, ERR_USAGE);
    goes_to(t, "zoo", "ape", "");
    task_unref(t);
}

static void
wrong(enum task_level level, const char *text, const char *says)
{
    struct err e = {0};
    struct task *t = sample_task(level, NULL);
    if (task_parse_objects(t, "--tables", text, &e))
        fail_msg("'%s' was taken", text);
    assert_int_equal(e.code, MR_USAGE);
    if (strstr(e.text, says) == NULL || strstr(e.text, "--tables") == NULL)
        fail_msg("'%s': '%s' does not say '%s'", text, e.text, says);
    task_unref(t);
}

static void
wrong_lists_name_the_flag_and_the_place(void **state)
{
    wrong(TASK_DATABASE, "", "missing");
    wrong(TASK_DATABASE, "a,,b", "missing");
    wrong(TASK_DATABASE, "a,", "missing");
    wrong(TASK_DATABASE, "a:", "missing");
    wrong(TASK_DATABASE, ":b", "missing");
    wrong(TASK_DATABASE, "a:b:c", "unexpected");
    wrong(TASK_DATABASE, "a.b", "unexpected");
    wrong(TASK_DATABASE, "a b", "unexpected");
    wrong(TASK_DATABASE, "`a", "not closed");
    wrong(TASK_DATABASE, "``", "missing");
    wrong(TASK_DATABASE, "a,b,a:c", "listed twice");
    wrong(TASK_DATABASE, "a:x,b:x", "one target");
    wrong(TASK_DATABASE, "a,b:a", "one target");
    wrong(TASK_DATABASE, "a:mysql", "system schema");
    wrong(TASK_TABLE, "a", "database.table");
    wrong(TASK_TABLE, "a.b:c", "database.table");
    wrong(TASK_TABLE, "a.b.c", "unexpected");
    wrong(TASK_TABLE, "a.b,a.b:c.d", "listed twice");
    wrong(TASK_TABLE, "a.b,c.d:a.b", "one target");
    wrong(TASK_TABLE, "sys.x", "system schema");
}

static void
a_list_of_many_tables_is_found_in(void **state)
{
    struct buf list = {0};
    for (int i = 0; i < 20000; i++)
        buf_addf(&list, "%sdb%d.t%d:o.x%d", i > 0 ? "," : "", i % 7, i, i);
    struct task *t = sample_task(TASK_TABLE, buf_cstr(&list));
    assert_int_equal(t->objects_len, 20000);
    goes_to(t, "db0", "t0", "o.x0");
    goes_to(t, "db0", "t19999", "o.x19999");
    goes_to(t, "db1", "t19999", "");
    goes_to(t, "db3", "t19995", "o.x19995");
    goes_to(t, "db3", "t20002", "");
    buf_free(&list);
    task_unref(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(account_selects_all_but_system_schemas),
        cmocka_unit_test(databases_keep_or_change_their_name),
        cmocka_unit_test(tables_keep_or_change_their_name),
        cmocka_unit_test(odd_names_stand_in_backquotes),
        cmocka_unit_test(exclude_is_searched_unanchored_in_db_dot_table),
        cmocka_unit_test(wrong_lists_name_the_flag_and_the_place),
        cmocka_unit_test(a_list_of_many_tables_is_found_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
