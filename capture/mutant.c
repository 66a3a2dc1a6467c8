#include "capture/mutant.h"

#if defined(MILLRACE_FAULTS) && MILLRACE_FAULTS

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static uint64_t every;
static enum mutant kind;

static void
read_environment(void)
{
    static const char *const names[] = {"", "drop:", "double:", "swap:"};
    const char *v = getenv("MILLRACE_MUTANT");
    for (int k = MUTANT_DROP; v != NULL && k <= MUTANT_SWAP; k++)
        if (strncmp(v, names[k], strlen(names[k])) == 0 &&
            text_u64(v + strlen(names[k]), &every))
            kind = (enum mutant)k;
}

enum mutant
mutant_next(void)
{
    static bool read;
    static uint64_t count;
    if (!read)
        read_environment();
    read = true;
    if (kind == MUTANT_NONE || every == 0)
        return MUTANT_NONE;
    return ++count % every == 0 ? kind : MUTANT_NONE;
}

#else
typedef int mutant_nothing;
#endif
