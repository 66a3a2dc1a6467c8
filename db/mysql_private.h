/* What the files of db/mysql*.c share; nobody else includes it, for it shows libmariadb's
 * header. */
#ifndef MILLRACE_DB_MYSQL_PRIVATE_H
#define MILLRACE_DB_MYSQL_PRIVATE_H

#include <mysql.h>

#include "db/mysql.h"

struct mysql_conn {
    MYSQL *handle;
    enum mysql_side side;
    struct mysql_server server;
    unsigned last_errno;
    bool committing;        /* COMMIT is sent: a lost connection leaves its outcome unknown */
    struct bytes load_data; /* what LOAD DATA LOCAL reads */
    char where[300];        /* "host:port", for errors */
};

/* Fills *e from the server's or client's error; false. */
bool
mysql_fail(struct mysql_conn *c, unsigned number, const char *message, struct err *e);
bool
mysql_fail_handle(struct mysql_conn *c, struct err *e);
/* Code of an error number (mysql_errors.c). */
enum err_code
mysql_error_code(enum mysql_side side, unsigned number);
bool
mysql_error_is_network(unsigned number);

#endif
