/* The list of sources. */
#include "capture/source.h"

static const struct source_ops *const sources[] = {&source_mysql};

const struct source_ops *
source_find(const char *scheme)
{
    size_t n = strlen(scheme);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        for (const char *s = sources[i]->schemes; *s;) {
            size_t word = strcspn(s, " ");
            if (word == n && memcmp(s, scheme, n) == 0)
                return sources[i];
            s += word + strspn(s + word, " ");
        }
    return NULL;
}
