/* MySQL's binary JSON, element by element: what value_json.c and value_json_diff.c share. The
 * format is in value_json.c. A value is a type and the bytes from its begin on; where it ends
 * is known when it is read. Pure; results borrow from the document.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_JSON_BINARY_H
#define MILLRACE_CAPTURE_MYSQL_JSON_BINARY_H

#include "base/bytes.h"

#define JSON_DEPTH_MAX 100
/* No valid document of n bytes becomes a longer text: damaged ones, whose parts may lie in each
 * other, stop there. */
#define JSON_TEXT_MAX(n) ((n) * 16 + 1024)

enum json_container_type {
    JSON_SMALL_OBJECT = 0,
    JSON_LARGE_OBJECT = 1,
    JSON_SMALL_ARRAY = 2,
    JSON_LARGE_ARRAY = 3,
};

struct json_container {
    bool object;
    struct bytes all;   /* from the count field on */
    struct reader keys; /* objects: key entries */
    struct reader values;
    unsigned width; /* of counts and offsets */
    uint64_t count;
};

struct json_element {
    struct bytes key; /* of an object's */
    uint8_t type;
    struct bytes at;
};

/* type: one of json_container_type. The three are false when the document is damaged. */
bool
json_binary_open(uint8_t type, struct bytes at, struct json_container *c);
/* count times. */
bool
json_binary_next(struct json_container *c, struct json_element *out);
/* The value as the server prints it. */
bool
json_binary_put(uint8_t type, struct bytes at, struct buf *out, unsigned depth);
void
json_binary_put_string(struct bytes s, struct buf *out);

#endif
