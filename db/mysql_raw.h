/* The raw protocol of a connection: one command out, packets in. For the replication stream,
 * which libmariadb's own mariadb_rpl_* decodes wrongly. Works under TLS and with packets above
 * 16 MiB.
 */
#ifndef MILLRACE_DB_MYSQL_RAW_H
#define MILLRACE_DB_MYSQL_RAW_H

#include "db/mysql.h"

#define MYSQL_COM_BINLOG_DUMP      18
#define MYSQL_COM_BINLOG_DUMP_GTID 30

MUST bool
mysql_raw_send(struct mysql_conn *c, uint8_t command, struct bytes payload, struct err *e);
/* Waits for the next packet; *packet is valid until the next read. An EOF packet gives n == 0.
 * *more (NULL: not wanted): bytes of the next packet are already here. Error packets come as
 * errors. */
MUST bool
mysql_raw_read(struct mysql_conn *c, struct bytes *packet, bool *more, struct err *e);

#endif
