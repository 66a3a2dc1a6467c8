/* Error numbers of servers and libmariadb -> our codes. Numbers: MySQL "Server Error Message
 * Reference", MariaDB "Error Codes", libmariadb errmsg.h.
 */
#include "db/mysql_private.h"

enum cause {
    UNREACHABLE,
    LOST,
    LOGIN,
    GRANT,
    TLS,
    BUSY,
    DUPLICATE,
    SHAPE,
    ROW,
    READ_ONLY,
    OTHER,
    CAUSES
};

static const enum err_code source_codes[CAUSES] = {
    [UNREACHABLE] = MR_SOURCE_UNREACHABLE,
    [LOST] = MR_SOURCE_LOST,
    [LOGIN] = MR_SOURCE_LOGIN,
    [GRANT] = MR_SOURCE_GRANT,
    [TLS] = MR_SOURCE_TLS,
    [BUSY] = MR_SOURCE_QUERY,
    [DUPLICATE] = MR_SOURCE_QUERY,
    [SHAPE] = MR_SOURCE_TABLE_SCHEMA,
    [ROW] = MR_SOURCE_QUERY,
    [READ_ONLY] = MR_SOURCE_QUERY,
    [OTHER] = MR_SOURCE_QUERY,
};

static const enum err_code target_codes[CAUSES] = {
    [UNREACHABLE] = MR_TARGET_UNREACHABLE,
    [LOST] = MR_TARGET_UNREACHABLE,
    [LOGIN] = MR_TARGET_LOGIN,
    [GRANT] = MR_TARGET_GRANT,
    [TLS] = MR_TARGET_TLS,
    [BUSY] = MR_TARGET_BUSY,
    [DUPLICATE] = MR_TARGET_DUPLICATE,
    [SHAPE] = MR_TARGET_SHAPE,
    [ROW] = MR_TARGET_ROW,
    [READ_ONLY] = MR_TARGET_BUSY,
    [OTHER] = MR_TARGET_QUERY,
};

static const enum err_code catalog_codes[CAUSES] = {
    [UNREACHABLE] = MR_CATALOG_UNREACHABLE,
    [LOST] = MR_CATALOG_UNREACHABLE,
    [LOGIN] = MR_CATALOG_REFUSED,
    [GRANT] = MR_CATALOG_REFUSED,
    [TLS] = MR_CATALOG_REFUSED,
    [BUSY] = MR_CATALOG_ERROR,
    [DUPLICATE] = MR_CATALOG_EXISTS,
    [SHAPE] = MR_CATALOG_INVALID,
    [ROW] = MR_CATALOG_REJECTED,
    [READ_ONLY] = MR_CATALOG_REFUSED,
    [OTHER] = MR_CATALOG_ERROR,
};

static const enum err_code *const codes[] = {
    [MYSQL_SOURCE] = source_codes,
    [MYSQL_TARGET] = target_codes,
    [MYSQL_CATALOG] = catalog_codes,
};

/* A COMMIT that was not answered. */
static const enum err_code lost_commits[] = {
    [MYSQL_SOURCE] = MR_SOURCE_LOST,
    [MYSQL_TARGET] = MR_TARGET_UNKNOWN_OUTCOME,
    [MYSQL_CATALOG] = MR_CATALOG_UNKNOWN_OUTCOME,
};

/* What is missing there, not only wrong. */
enum { NO_DATABASE = 1049, NO_TABLE = 1146 };

static const struct {
    uint16_t number;
    uint8_t cause;
} known[] = {
    {1021, BUSY},        /* disk full */
    {1022, DUPLICATE},   /* duplicate key in table */
    {1040, UNREACHABLE}, /* too many connections */
    {1041, BUSY},        /* out of memory */
    {1044, GRANT},       /* access denied to database */
    {1045, LOGIN},       /* access denied for user */
    {1048, ROW},         /* column cannot be null */
    {1053, LOST},        /* server shutdown in progress */
    {1054, SHAPE},       /* unknown column */
    {1062, DUPLICATE},
    {1079, LOST},  /* shutdown complete */
    {1049, SHAPE}, /* unknown database */
    {1114, BUSY},  /* table is full */
    {1129, LOGIN}, /* host is blocked */
    {1130, LOGIN}, /* host is not allowed to connect */
    {1136, SHAPE}, /* column count does not match */
    {1142, GRANT}, /* command denied on table */
    {1143, GRANT}, /* command denied on column */
    {1146, SHAPE}, /* no such table */
    {1153, ROW},   /* packet above max_allowed_packet */
    {1158, LOST},
    {1159, LOST},
    {1160, LOST},
    {1161, LOST},
    {1169, DUPLICATE},
    {1203, UNREACHABLE}, /* too many user connections */
    {1205, BUSY},        /* lock wait timeout */
    {1206, BUSY},        /* lock table full */
    {1213, BUSY},        /* deadlock */
    {1226, UNREACHABLE}, /* user limit */
    {1227, GRANT},       /* need a privilege */
    {1251, LOGIN},       /* authentication protocol */
    {1264, ROW},         /* out of range */
    {1265, ROW},         /* data truncated */
    {1290, READ_ONLY},   /* running with --read-only */
    {1292, ROW},         /* incorrect value */
    {1317, BUSY},        /* query interrupted */
    {1364, ROW},         /* no default value */
    {1366, ROW},         /* incorrect string value */
    {1370, GRANT},       /* routine */
    {1406, ROW},         /* data too long */
    {1410, GRANT},
    {1416, ROW}, /* geometry */
    {1451, ROW}, /* foreign key: parent */
    {1452, ROW}, /* foreign key: child */
    {1586, DUPLICATE},
    {1614, BUSY}, /* XA deadlock */
    {1690, ROW},  /* out of range in expression */
    {1698, LOGIN},
    {1792, READ_ONLY}, /* read-only transaction */
    {1836, READ_ONLY},
    {1862, LOGIN},       /* password expired */
    {1927, LOST},        /* MariaDB: connection was killed */
    {1969, BUSY},        /* MariaDB: statement timeout */
    {2002, UNREACHABLE}, /* client errors from here */
    {2003, UNREACHABLE},
    {2005, UNREACHABLE}, /* unknown host */
    {2006, LOST},        /* server has gone away */
    {2012, LOST},        /* handshake */
    {2013, LOST},
    {2026, TLS},
    {2027, LOST}, /* malformed packet */
    {2055, LOST},
    {2057, SHAPE},
    /* other columns than when prepared */ {2059, LOGIN}, /* authentication plugin */
    {3024, BUSY},                                         /* MySQL: execution time */
    {3037, ROW},                                          /* invalid geometry */
    {3118, LOGIN},                                        /* account locked */
    {3140, ROW},                                          /* invalid JSON */
    {3144, ROW},                                          /* character set of JSON */
    {3157, ROW},                                          /* JSON too deep */
    {3572, BUSY},                                         /* NOWAIT */
    {3643, ROW},                                          /* SRID of a geometry column */
    {3819, ROW},                                          /* check constraint */
    {3955, LOGIN},                                        /* account blocked */
    {4025, ROW},                                          /* MariaDB: constraint */
    {4031, LOST},  /* MySQL: idle connection closed by the server */
    {4151, LOGIN}, /* MariaDB: account locked */
    {5012, LOST},  /* libmariadb: connection */
    {6136, ROW},   /* MySQL: no vector */
    {6138, ROW},   /* MySQL: no vector's text */
};

static enum cause
cause_of(unsigned number)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].number == number)
            return known[i].cause;
    return OTHER;
}

enum err_code
mysql_error_code(enum mysql_side side, unsigned number)
{
    if (side == MYSQL_CATALOG && (number == NO_DATABASE || number == NO_TABLE))
        return number == NO_TABLE ? MR_CATALOG_MISSING : MR_CATALOG_ADDRESS;
    return codes[side][cause_of(number)];
}

bool
mysql_error_is_network(unsigned number)
{
    return cause_of(number) == LOST || number == 1317;
}

bool
mysql_fail(struct mysql_conn *c, unsigned number, const char *message, struct err *e)
{
    c->last_errno = number;
    if (c->committing && mysql_error_is_network(number)) {
        err_set(e, lost_commits[c->side], "%s: COMMIT: error %u: %s", c->where, number,
                message);
        return err_reclass(e, ERR_UNKNOWN);
    }
    return err_set(e, mysql_error_code(c->side, number), "%s: error %u: %s", c->where, number,
                   message);
}

bool
mysql_fail_handle(struct mysql_conn *c, struct err *e)
{
    return mysql_fail(c, mysql_errno(c->handle), mysql_error(c->handle), e);
}
