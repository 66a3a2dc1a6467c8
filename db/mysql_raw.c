/* Raw packets: see mysql_raw.h. Uses only what libmariadb's headers show. */
#include "db/mysql_raw.h"

#include <poll.h>

#include "db/mysql_private.h"

#include <ma_pvio.h>

#define PACKET_ERROR ((unsigned)-1) /* libmariadb's packet_error, not ULONG_MAX */
#define EOF_MARK     0xfe

bool
mysql_raw_send(struct mysql_conn *c, uint8_t command, struct bytes payload, struct err *e)
{
    MYSQL *h = c->handle;
    c->last_errno = 0;
    if (h->methods->db_command(h, (enum enum_server_command)command, (const char *)payload.p,
                               payload.n, 1, NULL))
        return mysql_fail_handle(c, e);
    return true;
}

/* Sockets under TLS may hold decrypted bytes that poll does not see: then we only wait a little
 * too early. */
static bool
bytes_waiting(MYSQL *h)
{
    const MARIADB_PVIO *io = h->net.pvio;
    if (io->cache && io->cache_pos < io->cache + io->cache_size)
        return true;
    struct pollfd fd = {.fd = mysql_get_socket(h), .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

bool
mysql_raw_read(struct mysql_conn *c, struct bytes *packet, bool *more, struct err *e)
{
    MYSQL *h = c->handle;
    unsigned long n = mysql_net_read_packet(h);
    if ((unsigned)n == PACKET_ERROR)
        return mysql_fail_handle(c, e);
    if (n == 0)
        return mysql_fail(c, 2027, "an empty packet", e);
    *packet = bytes_of(h->net.read_pos, n);
    if (h->net.read_pos[0] == EOF_MARK && n < 9)
        packet->n = 0;
    if (more)
        *more = bytes_waiting(h);
    return true;
}
