/* Private to charset.c: characters that iconv converts otherwise than the servers do. */
#ifndef MILLRACE_CAPTURE_MYSQL_CHARSET_TABLES_H
#define MILLRACE_CAPTURE_MYSQL_CHARSET_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct charset_pair {
    uint32_t code; /* the character's bytes, big-endian */
    uint16_t unicode;
};

struct charset_exceptions {
    const char *charset;
    const struct charset_pair *pairs; /* by code */
    size_t n;
};

/* NULL: none. */
const struct charset_exceptions *
charset_exceptions(const char *charset);

#endif
