/* The XML of S3's answers, as a row of elements that end: what they hold is told by the order.
 *
 * A bounded reader with sticky failure for the XML that S3 writes (Amazon S3 API Reference):
 * elements, character data, references; attributes, comments and processing instructions are
 * passed over. Borrowed from the answer. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_S3_XML_H
#define MILLRACE_LAKE_S3_XML_H

#include "base/bytes.h"

struct s3_xml {
    struct reader r;
    struct bytes text; /* behind the last tag */
    bool opened;       /* the last tag began an element: it is a leaf if it ends next */
};

struct s3_element {
    struct bytes name;
    struct bytes text; /* of a leaf, as it stands; else empty */
};

struct s3_xml
s3_xml_of(struct bytes answer);
/* The next element that ends; false at the end or at what is no XML (x->r.failed). */
bool
s3_xml_next(struct s3_xml *x, struct s3_element *out);
bool
s3_element_is(const struct s3_element *el, const char *name);
/* Its text with references resolved, NUL-terminated; the caller's. */
char *
s3_element_text(const struct s3_element *el);
/* The text of the first element of that name, copied; "" when there is none. */
void
s3_xml_find(struct bytes answer, const char *name, char *out, size_t out_size);

#endif
